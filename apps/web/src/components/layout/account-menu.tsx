import DownOutlined from '@ant-design/icons/es/icons/DownOutlined';
import LogoutOutlined from '@ant-design/icons/es/icons/LogoutOutlined';
import { useCallback, useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useDismiss } from '../../hooks/useDismiss';
import { stopEverything } from '../../hooks/useChat';
import { useUserStore } from '../../stores/user-store';
import { LanguageSwitch, ThemeSwitch } from './preferences';

function ProjectChoice() {
  const { t } = useTranslation('common');
  const { me, projectId, selectProject } = useUserStore();
  const id = useId();
  const organizations = me?.organizations ?? [];
  const choose = (chosen: string) => {
    const home = organizations.find((organization) => organization.projects.some((project) => project.id === chosen));
    if (home) selectProject(home.id, chosen);
  };
  return (
    <div className="menu-field">
      <label htmlFor={id}>{t('account.project')}</label>
      <select id={id} value={projectId ?? ''} onChange={(event) => choose(event.target.value)}>
        {organizations.map((organization) => (
          <optgroup key={organization.id} label={organization.name}>
            {organization.projects.map((project) => (
              <option key={project.id} value={project.id}>{project.name}</option>
            ))}
          </optgroup>
        ))}
      </select>
    </div>
  );
}

export function AccountMenu() {
  const { t } = useTranslation('common');
  const me = useUserStore((state) => state.me);
  const signOut = useUserStore((state) => state.signOut);
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback((byKey: boolean) => {
    setOpen(false);
    if (byKey) button.current?.focus();
  }, []);
  useDismiss(box, open, close);
  const leave = () => {
    stopEverything();
    void signOut();
  };
  const name = me?.name || me?.email || '';
  return (
    <div className="account" ref={box}>
      <button
        ref={button}
        type="button"
        className="account-button"
        aria-expanded={open}
        aria-label={`${t('account.menu')}: ${name}`}
        onClick={() => setOpen((was) => !was)}
      >
        <span className="avatar" aria-hidden="true">{[...name][0]?.toUpperCase()}</span>
        <DownOutlined aria-hidden="true" className="account-caret" />
      </button>
      {open ? (
        <div className="menu" role="group" aria-label={t('account.menu')}>
          <div className="menu-head">
            <strong>{name}</strong>
            <span>{me?.email}</span>
            {me?.is_operator ? <span className="ds-tag">{t('account.operator')}</span> : null}
          </div>
          <ProjectChoice />
          <LanguageSwitch />
          <ThemeSwitch />
          <button type="button" className="menu-action" onClick={leave}>
            <LogoutOutlined aria-hidden="true" />
            {t('account.signOut')}
          </button>
        </div>
      ) : null}
    </div>
  );
}
