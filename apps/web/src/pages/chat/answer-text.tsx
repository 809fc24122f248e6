import { lazy, Suspense, useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { useNearView } from '../../hooks/useNearView';

const importRichText = () => import('@deepspace/richtext');

/** The renderer is a chunk of its own; it is fetched when someone starts to write. */
export const preloadRichText = (): void => void importRichText();

const RichText = lazy(() => importRichText().then((module) => ({ default: module.RichText })));

interface AnswerTextProps {
  text: string;
  streaming: boolean;
}

function Formatted({ text, streaming }: AnswerTextProps) {
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

/** Formatted when it comes near the eye: opening a long chat must not format hundreds of answers nobody looks at. */
export function AnswerText(props: AnswerTextProps) {
  const box = useRef<HTMLDivElement>(null);
  const near = useNearView(box);
  return <div ref={box}>{near || props.streaming ? <Formatted {...props} /> : <div className="answer-plain">{props.text}</div>}</div>;
}
