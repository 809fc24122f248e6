import { lazy, Suspense, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

const importRichText = () => import('@deepspace/richtext');

/** The renderer is a chunk of its own; it is fetched when someone starts to write. */
export const preloadRichText = (): void => void importRichText();

const RichText = lazy(() => importRichText().then((module) => ({ default: module.RichText })));

interface AnswerTextProps {
  text: string;
  streaming: boolean;
}

export function AnswerText({ text, streaming }: AnswerTextProps) {
  const { t } = useTranslation('chat');
  const labels = useMemo(
    () => ({
      copy: t('richText.copy'),
      copied: t('richText.copied'),
      table: t('richText.table'),
      code: t('richText.code'),
      imageBlocked: t('richText.imageBlocked'),
    }),
    [t],
  );
  return (
    <Suspense fallback={<div className="answer-plain">{text}</div>}>
      <RichText text={text} streaming={streaming} labels={labels} />
    </Suspense>
  );
}
