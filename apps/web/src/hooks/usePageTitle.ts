import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';

/** The title of the browser tab; a screen reader reads it first. */
export function usePageTitle(title: string): void {
  const { t } = useTranslation('common');
  const app = t('app.name');
  useEffect(() => {
    document.title = title === '' ? app : `${title} · ${app}`;
  }, [title, app]);
}
