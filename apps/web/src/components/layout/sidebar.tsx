import CloseOutlined from '@ant-design/icons/es/icons/CloseOutlined';
import EditOutlined from '@ant-design/icons/es/icons/EditOutlined';
import NodeIndexOutlined from '@ant-design/icons/es/icons/NodeIndexOutlined';
import { Link, useNavigate, useRouterState } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { useChatStore } from '../../stores/chat-store';
import { Brand } from './brand';

interface SidebarProps {
  open: boolean;
  onClose: () => void;
}

function RecentChats({ onOpen }: { onOpen: (id: string) => void }) {
  const { t } = useTranslation('common');
  const { order, conversations, activeId } = useChatStore();
  const onChat = useRouterState({ select: (state) => state.location.pathname === '/' });
  if (order.length === 0) return null;
  return (
    <div className="recent">
      <h2 className="recent-title">{t('nav.recent')}</h2>
      <ul className="recent-list">
        {order.map((id) => (
          <li key={id}>
            <button
              type="button"
              className="nav-item"
              aria-current={onChat && id === activeId ? 'page' : undefined}
              onClick={() => onOpen(id)}
            >
              <span className="nav-text">{conversations[id]?.title || t('nav.untitled')}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function Sidebar({ open, onClose }: SidebarProps) {
  const { t } = useTranslation('common');
  const navigate = useNavigate();
  const openConversation = useChatStore((state) => state.openConversation);
  const show = (id: string | null) => {
    openConversation(id);
    onClose();
    void navigate({ to: '/' });
  };
  return (
    <nav className={open ? 'side side-open' : 'side'} aria-label={t('nav.label')} id="sidebar">
      <div className="side-head">
        <Brand />
        <button type="button" className="ds-icon-button side-close" aria-label={t('nav.close')} onClick={onClose}>
          <CloseOutlined aria-hidden="true" />
        </button>
      </div>
      <button type="button" className="nav-item nav-new" onClick={() => show(null)}>
        <EditOutlined aria-hidden="true" />
        <span className="nav-text">{t('nav.newChat')}</span>
      </button>
      <Link to="/traces" className="nav-item" onClick={onClose}>
        <NodeIndexOutlined aria-hidden="true" />
        <span className="nav-text">{t('nav.traces')}</span>
      </Link>
      <RecentChats onOpen={show} />
    </nav>
  );
}
