import i18next, { type i18n, type Resource } from 'i18next';
import { initReactI18next } from 'react-i18next';
import { detectLocale, readStoredLocale, storeLocale, type Locale } from './locale';

export type Namespaces = Record<string, object>;
export type LoadLocale = (locale: Locale) => Promise<Namespaces>;

let load: LoadLocale | null = null;

async function ensureLoaded(locale: Locale): Promise<void> {
  if (!load || i18next.hasResourceBundle(locale, 'common')) return;
  const namespaces = await load(locale);
  for (const [name, words] of Object.entries(namespaces)) i18next.addResourceBundle(locale, name, words, true, true);
}

/** Starts i18next with the one language this reader needs; the other is fetched on a switch. */
export async function startI18n(loadLocale: LoadLocale): Promise<i18n> {
  load = loadLocale;
  const locale = detectLocale(readStoredLocale(), navigator.languages);
  const resources = { [locale]: await loadLocale(locale) } as Resource;
  await i18next.use(initReactI18next).init({
    lng: locale,
    fallbackLng: false,
    resources,
    defaultNS: 'common',
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  document.documentElement.lang = locale;
  return i18next;
}

export async function switchLocale(locale: Locale): Promise<void> {
  await ensureLoaded(locale);
  storeLocale(locale);
  document.documentElement.lang = locale;
  await i18next.changeLanguage(locale);
}
