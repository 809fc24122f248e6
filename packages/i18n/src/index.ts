export { addDecimals, compareDecimals, isDecimal } from './decimal';
export { formatCompact, formatDateTime, formatDuration, formatInteger, formatMoney } from './format';
export { startI18n, switchLocale, type LoadLocale, type Namespaces } from './instance';
export { detectLocale, isLocale, LOCALE_NAMES, LOCALES, readStoredLocale, storeLocale, type Locale } from './locale';
