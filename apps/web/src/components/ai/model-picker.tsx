import CheckOutlined from '@ant-design/icons/es/icons/CheckOutlined';
import DownOutlined from '@ant-design/icons/es/icons/DownOutlined';
import { formatCompact, formatMoney } from '@deepspace/i18n';
import type { Model } from '@deepspace/api-client';
import { useCallback, useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useDismiss } from '../../hooks/useDismiss';
import { useLocale } from '../../hooks/useLocale';

interface ModelPickerProps {
  models: Model[];
  current: Model | null;
  onChoose: (id: string) => void;
}

function Facts({ model }: { model: Model }) {
  const { t } = useTranslation('chat');
  const locale = useLocale();
  if (!model.pricing) return <span className="option-facts">{t('picker.unpriced')}</span>;
  const { currency, per_million: rates, per_call: perCall } = model.pricing;
  const money = (amount: string | undefined) => formatMoney(amount ?? '0', currency, locale);
  const facts = [t('picker.price', { input: money(rates['input']), output: money(rates['output']) })];
  if (/[1-9]/.test(perCall)) facts.push(t('picker.perCall', { amount: money(perCall) }));
  if (model.context_length) facts.push(t('picker.context', { size: formatCompact(model.context_length, locale) }));
  return <span className="option-facts">{facts.join(' · ')}</span>;
}

interface OptionProps {
  id: string;
  model: Model;
  active: boolean;
  selected: boolean;
  onChoose: (model: Model) => void;
}

function Option({ id, model, active, selected, onChoose }: OptionProps) {
  const { t } = useTranslation('chat');
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (active) row.current?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  return (
    <li
      ref={row}
      id={id}
      role="option"
      aria-selected={selected}
      aria-disabled={model.pricing === null}
      className={active ? 'option option-active' : 'option'}
      onClick={() => onChoose(model)}
    >
      <span className="option-name">
        <span className="option-id">{model.id}</span>
        {model.local ? <span className="ds-tag ds-tag-warn" title={t('picker.localText')}>{t('picker.local')}</span> : null}
        {selected ? <CheckOutlined aria-hidden="true" className="option-check" /> : null}
      </span>
      <Facts model={model} />
      {model.local ? <span className="option-facts">{t('picker.localText')}</span> : null}
    </li>
  );
}

interface PanelProps extends ModelPickerProps {
  close: () => void;
}

/** A combobox: the focus stays in the search field, the arrow keys move through the list. */
function Panel({ models, current, onChoose, close }: PanelProps) {
  const { t } = useTranslation('chat');
  const [words, setWords] = useState('');
  const listId = useId();
  const found = useMemo(() => models.filter((model) => model.id.toLowerCase().includes(words.trim().toLowerCase())), [models, words]);
  const [active, setActive] = useState(() => Math.max(0, models.findIndex((model) => model.id === current?.id)));
  const choose = (model: Model | undefined) => {
    if (!model?.pricing) return;
    onChoose(model.id);
    close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const last = found.length - 1;
    const moves: Record<string, number> = { ArrowDown: Math.min(active + 1, last), ArrowUp: Math.max(active - 1, 0), Home: 0, End: last };
    const next = moves[event.key];
    if (next !== undefined) setActive(Math.max(0, next));
    else if (event.key === 'Enter') choose(found[active]);
    else return;
    event.preventDefault();
  };
  const optionId = (index: number) => `${listId}-${index}`;
  return (
    <div className="picker-panel">
      <input
        className="picker-search"
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={found.length > 0 ? optionId(active) : undefined}
        aria-label={t('picker.search')}
        placeholder={t('picker.search')}
        autoComplete="off"
        autoFocus
        value={words}
        onChange={(event) => {
          setWords(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul className="picker-list" id={listId} role="listbox" aria-label={t('picker.list')}>
        {found.map((model, index) => (
          <Option key={model.id} id={optionId(index)} model={model} active={index === active} selected={model.id === current?.id} onChoose={choose} />
        ))}
      </ul>
      {found.length === 0 ? <p className="picker-empty" role="status">{t('picker.empty')}</p> : null}
    </div>
  );
}

export function ModelPicker(props: ModelPickerProps) {
  const { t } = useTranslation('chat');
  const { current, models } = props;
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback((byKey: boolean) => {
    setOpen(false);
    if (byKey) button.current?.focus();
  }, []);
  useDismiss(box, open, close);
  const shown = current?.id ?? t('picker.choose');
  return (
    <div className="picker" ref={box}>
      <button
        ref={button}
        type="button"
        className="picker-button"
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-label={`${t('picker.label')}: ${shown}`}
        disabled={models.length === 0}
        onClick={() => setOpen((was) => !was)}
      >
        <span className="picker-name">{shown}</span>
        {current?.local ? <span className="ds-tag ds-tag-warn">{t('picker.local')}</span> : null}
        <DownOutlined aria-hidden="true" />
      </button>
      {open ? <Panel {...props} close={() => close(true)} /> : null}
    </div>
  );
}
