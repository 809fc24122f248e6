import { isDecimal } from './decimal';

type ExactFormat = { format(value: string): string };

interface MoneyStyle {
  /** Most digits shown after the point; the ledger keeps nine. */
  digits?: number;
}

const MONEY_DIGITS = 9;
const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (!format) formats.set(key, (format = new Intl.NumberFormat(locale, options)));
  return format;
}

/**
 * A decimal string as money. Digits that do not fit are cut off, never rounded up: nobody sees a balance they do not have.
 * `Intl` takes the string itself, so no digit passes through a float.
 */
export function formatMoney(amount: string, currency: string, locale: string, { digits = MONEY_DIGITS }: MoneyStyle = {}): string {
  if (!isDecimal(amount)) return `${amount} ${currency}`;
  const options = { style: 'currency', currency, minimumFractionDigits: 2, maximumFractionDigits: digits, roundingMode: 'trunc' };
  const format = numberFormat(locale, options as Intl.NumberFormatOptions) as unknown as ExactFormat;
  return format.format(amount);
}

export const formatInteger = (value: number, locale: string): string => numberFormat(locale, { maximumFractionDigits: 0 }).format(value);

/** 128000 → "128K"; for context sizes, where the rough size is what matters. */
export const formatCompact = (value: number, locale: string): string =>
  numberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }).format(value);

export function formatDuration(milliseconds: number, locale: string): string {
  if (milliseconds < 1000) {
    const digits = milliseconds < 10 ? 1 : 0;
    return numberFormat(locale, { style: 'unit', unit: 'millisecond', maximumFractionDigits: digits }).format(milliseconds);
  }
  const seconds = { style: 'unit', unit: 'second', maximumFractionDigits: milliseconds < 100_000 ? 1 : 0 } as const;
  return numberFormat(locale, seconds).format(milliseconds / 1000);
}

export function formatDateTime(iso: string, locale: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(date);
}
