import MenuOutlined from '@ant-design/icons/es/icons/MenuOutlined';
import { ErrorState } from '@deepspace/ui';
import { Outlet, useRouter } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useErrorText } from '../../hooks/useErrorText';
import { useUserStore } from '../../stores/user-store';
import '../../styles/shell.css';
import { WalletBadge } from '../billing/wallet-badge';
import { AccountMenu } from './account-menu';
import { Sidebar } from './sidebar';
import { TopTitle } from './top-title';

function ServerAway() {
  const { t } = useTranslation('common');
  const errorText = useErrorText();
  const { bootError, boot } = useUserStore();
  const router = useRouter();
  const again = () => void boot().then(() => router.invalidate());
  return (
    <main className="away">
      <ErrorState title={t('app.name')} description={errorText(bootError?.code ?? 'network')}>
        <button type="button" className="plain-button" onClick={again}>{t('action.retry')}</button>
      </ErrorState>
    </main>
  );
}

/** The frame of every signed-in page: plain HTML and CSS, so that it costs nothing to load. */
export function Shell() {
  const { t } = useTranslation('common');
  const status = useUserStore((state) => state.status);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
  if (status !== 'authenticated') return <ServerAway />;
  return (
    <div className="shell">
      <a className="ds-skip" href="#main">{t('nav.skip')}</a>
      <Sidebar open={open} onClose={() => setOpen(false)} />
      {open ? <div className="side-veil" onClick={() => setOpen(false)} aria-hidden="true" /> : null}
      <div className="room">
        <header className="top">
          <button
            type="button"
            className="ds-icon-button top-menu"
            aria-label={t('nav.open')}
            aria-expanded={open}
            aria-controls="sidebar"
            onClick={() => setOpen(true)}
          >
            <MenuOutlined aria-hidden="true" />
          </button>
          <TopTitle />
          <WalletBadge />
          <AccountMenu />
        </header>
        <main className="main" id="main" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
    </div>
  );
}
