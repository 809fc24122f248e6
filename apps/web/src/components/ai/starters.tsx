import BulbOutlined from '@ant-design/icons/es/icons/BulbOutlined';
import CalendarOutlined from '@ant-design/icons/es/icons/CalendarOutlined';
import CodeOutlined from '@ant-design/icons/es/icons/CodeOutlined';
import TableOutlined from '@ant-design/icons/es/icons/TableOutlined';
import { useTranslation } from 'react-i18next';
import { BrandMark } from '../layout/brand';

const STARTERS = [
  { key: 'explain', icon: <BulbOutlined aria-hidden="true" /> },
  { key: 'compare', icon: <TableOutlined aria-hidden="true" /> },
  { key: 'code', icon: <CodeOutlined aria-hidden="true" /> },
  { key: 'plan', icon: <CalendarOutlined aria-hidden="true" /> },
] as const;

interface StartersProps {
  name: string;
  disabled: boolean;
  onPick: (text: string) => void;
}

/** An empty chat: a greeting and four ways to begin. */
export function Starters({ name, disabled, onPick }: StartersProps) {
  const { t } = useTranslation('chat');
  return (
    <div className="starters">
      <BrandMark size={48} />
      <h1>{t('welcome', { name })}</h1>
      <p>{t('welcomeText')}</p>
      <ul className="starters-list" aria-label={t('prompts.label')}>
        {STARTERS.map(({ key, icon }) => (
          <li key={key}>
            <button type="button" disabled={disabled} onClick={() => onPick(t(`prompts.${key}Text`))}>
              <span className="starters-icon">{icon}</span>
              <span className="starters-title">{t(`prompts.${key}`)}</span>
              <span className="starters-text">{t(`prompts.${key}Text`)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
