import { useTranslation } from 'react-i18next';

interface BrandProps {
  size?: number;
  withName?: boolean;
}

export function BrandMark({ size = 26 }: { size?: number }) {
  return <img className="brand-mark" src="/favicon.svg" alt="" width={size} height={size} />;
}

export function Brand({ size = 26, withName = true }: BrandProps) {
  const { t } = useTranslation('common');
  return (
    <span className="brand">
      <BrandMark size={size} />
      {withName ? <span className="brand-name">{t('app.short')}</span> : null}
    </span>
  );
}
