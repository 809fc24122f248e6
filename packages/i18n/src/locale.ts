export const LOCALES = ['zh-CN', 'en-US'] as const;
export type Locale = (typeof LOCALES)[number];

const KEY = 'deepspace.locale';

export const isLocale = (value: unknown): value is Locale => LOCALES.includes(value as Locale);

/** Each language in its own words, for the switch. */
export const LOCALE_NAMES: Record<Locale, string> = { 'zh-CN': '简体中文', 'en-US': 'English' };

/** The reader's earlier choice, else the first language of the browser that we speak, else English. */
export function detectLocale(stored: string | null, preferred: readonly string[]): Locale {
  if (isLocale(stored)) return stored;
  for (const tag of preferred) {
    const language = tag.toLowerCase().split('-')[0];
    if (language === 'zh') return 'zh-CN';
    if (language === 'en') return 'en-US';
  }
  return 'en-US';
}

export const readStoredLocale = (): string | null => localStorage.getItem(KEY);
export const storeLocale = (locale: Locale): void => localStorage.setItem(KEY, locale);
