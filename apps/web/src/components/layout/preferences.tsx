import { LOCALE_NAMES, LOCALES, switchLocale } from '@deepspace/i18n';
import { THEME_CHOICES } from '@deepspace/ui';
import { useId } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocale } from '../../hooks/useLocale';
import { useThemeStore } from '../../stores/theme-store';

interface SegmentsProps<T extends string> {
  legend: string;
  value: T;
  options: readonly { value: T; label: string; lang?: string }[];
  onChange: (value: T) => void;
}

/** Native radio buttons that look like a segmented switch: arrow keys and screen readers work by themselves. */
function Segments<T extends string>({ legend, value, options, onChange }: SegmentsProps<T>) {
  const name = useId();
  return (
    <fieldset className="segments">
      <legend>{legend}</legend>
      <div className="segments-row">
        {options.map((option) => (
          <label key={option.value} className="segment" lang={option.lang}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function LanguageSwitch() {
  const { t } = useTranslation('common');
  const options = LOCALES.map((locale) => ({ value: locale, label: LOCALE_NAMES[locale], lang: locale }));
  return <Segments legend={t('account.language')} value={useLocale()} options={options} onChange={(locale) => void switchLocale(locale)} />;
}

export function ThemeSwitch() {
  const { t } = useTranslation('common');
  const { choice, choose } = useThemeStore();
  const options = THEME_CHOICES.map((name) => ({ value: name, label: t(`theme.${name}`) }));
  return <Segments legend={t('account.theme')} value={choice} options={options} onChange={choose} />;
}
