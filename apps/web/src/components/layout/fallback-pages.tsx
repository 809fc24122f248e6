import { EmptyState, ErrorState } from '@deepspace/ui';
import { Link, type ErrorComponentProps } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

export function NotFoundPage() {
  const { t } = useTranslation('common');
  return (
    <EmptyState title={t('state.notFoundTitle')} description={t('state.notFoundText')}>
      <Link to="/">{t('action.home')}</Link>
    </EmptyState>
  );
}

export function CrashPage({ error }: ErrorComponentProps) {
  const { t } = useTranslation('common');
  return <ErrorState title={t('state.crashTitle')} description={t('state.crashText')} reference={error instanceof Error ? error.message : String(error)} />;
}
