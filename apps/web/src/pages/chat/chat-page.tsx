import { toApiError } from '@deepspace/api-client';
import { useEffect, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { Composer } from '../../components/ai/composer';
import { ModelPicker } from '../../components/ai/model-picker';
import { Starters } from '../../components/ai/starters';
import { useChat } from '../../hooks/useChat';
import { useErrorText } from '../../hooks/useErrorText';
import { useCurrentModel, useModels } from '../../hooks/useModels';
import { usePageTitle } from '../../hooks/usePageTitle';
import { useChatStore } from '../../stores/chat-store';
import { useUserStore } from '../../stores/user-store';
import '../../styles/chat.css';
import { Announcer } from './announcer';
import { preloadRichText } from './answer-text';
import { Thread } from './thread';

function useActiveThread() {
  const activeId = useChatStore((state) => state.activeId);
  const messageIds = useChatStore((state) => (state.activeId ? state.conversations[state.activeId]?.messageIds : undefined));
  const lastId = messageIds?.at(-1);
  const running = useChatStore((state) => {
    const status = lastId ? state.messages[lastId]?.status : undefined;
    return status === 'waiting' || status === 'streaming';
  });
  return { activeId, messageIds: messageIds ?? [], lastId, running };
}

/** Why nothing can be sent right now, in one sentence; null when all is well. */
function useObstacle(projectId: string | null, models: ReturnType<typeof useModels>): string | null {
  const { t } = useTranslation(['chat', 'auth']);
  const errorText = useErrorText();
  if (projectId === null) return t('auth:noProject');
  if (models.isError) return `${t('picker.failed')}: ${errorText(toApiError(models.error).code)}`;
  if (models.data && !models.data.some((model) => model.pricing)) return `${t('picker.noneTitle')}. ${t('picker.none')}`;
  return null;
}

function Obstacle({ text, onRetry }: { text: string; onRetry: () => void }) {
  const { t } = useTranslation('common');
  return (
    <div className="obstacle" role="alert">
      <span>{text}</span>
      <button type="button" className="plain-button" onClick={onRetry}>{t('action.retry')}</button>
    </div>
  );
}

export function ChatPage() {
  const { t } = useTranslation('chat');
  const { me, organizationId, projectId } = useUserStore();
  const models = useModels(projectId);
  const current = useCurrentModel(models.data);
  const obstacle = useObstacle(projectId, models);
  const chooseModel = useChatStore((state) => state.chooseModel);
  const place = useMemo(() => (organizationId && projectId ? { organizationId, projectId } : null), [organizationId, projectId]);
  const { activeId, messageIds, lastId, running } = useActiveThread();
  const { send, stop, regenerate } = useChat(place, current?.id ?? null);
  usePageTitle(t('title'));
  useEffect(() => {
    if (messageIds.length > 0) preloadRichText();
  }, [messageIds.length]);

  const picker = <ModelPicker models={models.data ?? []} current={current} onChoose={chooseModel} />;
  const blocked = current === null;
  return (
    <div className={messageIds.length === 0 ? 'chat chat-empty' : 'chat'}>
      {messageIds.length === 0 ? (
        <div className="chat-start">
          <Starters name={me?.name ?? ''} disabled={blocked} onPick={send} />
        </div>
      ) : (
        <Thread key={activeId} messageIds={messageIds} onRegenerate={regenerate} />
      )}
      <div className="dock">
        {obstacle ? <Obstacle text={obstacle} onRetry={() => void models.refetch()} /> : null}
        <Composer running={running} disabled={blocked} tools={picker} focusKey={activeId} onSend={send} onStop={stop} onWrite={preloadRichText} />
        <p className="dock-hint">{current?.local ? t('composer.demo') : t('composer.hint')}</p>
      </div>
      <Announcer lastId={lastId} />
    </div>
  );
}
