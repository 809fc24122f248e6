import type { LoadLocale } from '@deepspace/i18n';

/** One chunk per language. */
export const loadLocale: LoadLocale = async (locale) => {
  const { default: words } = locale === 'zh-CN' ? await import('./zh-CN') : await import('./en-US');
  return words;
};
