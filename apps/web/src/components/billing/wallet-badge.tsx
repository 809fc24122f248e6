import WalletOutlined from '@ant-design/icons/es/icons/WalletOutlined';
import { formatMoney } from '@deepspace/i18n';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocale } from '../../hooks/useLocale';
import { useBillingStore } from '../../stores/billing-store';
import { useUserStore } from '../../stores/user-store';

const SHOWN_DIGITS = 6;

/** What the organization can still spend. The full figures are in its title and its accessible name. */
export function WalletBadge() {
  const { t } = useTranslation('common');
  const locale = useLocale();
  const organizationId = useUserStore((state) => state.organizationId);
  const { wallet, error, refresh } = useBillingStore();
  useEffect(() => {
    if (organizationId) void refresh(organizationId);
  }, [organizationId, refresh]);

  if (!organizationId) return null;
  if (!wallet) {
    if (!error) return <span className="wallet" role="status" aria-label={t('wallet.loading')}><WalletOutlined aria-hidden="true" /></span>;
    return (
      <button type="button" className="wallet wallet-failed" onClick={() => void refresh(organizationId)}>
        {t('wallet.failed')}
      </button>
    );
  }
  const money = (amount: string, digits = 9) => formatMoney(amount, wallet.currency, locale, { digits });
  const details = t('wallet.details', {
    available: money(wallet.available),
    balance: money(wallet.balance),
    frozen: money(wallet.frozen),
  });
  return (
    <span className="wallet" title={details} data-testid="wallet" data-balance={wallet.balance} data-available={wallet.available}>
      <WalletOutlined aria-hidden="true" />
      <span className="ds-visually-hidden">{`${t('wallet.label')}: ${details}`}</span>
      <span aria-hidden="true" className="wallet-amount">{money(wallet.available, SHOWN_DIGITS)}</span>
      {wallet.state === 'frozen' ? <span className="ds-tag ds-tag-bad">{t('wallet.frozen')}</span> : null}
    </span>
  );
}
