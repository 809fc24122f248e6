import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';
import type words from '../locales/zh-CN';

type ErrorCode = keyof (typeof words)['errors'];

/** The reader's words for a server's stable error code. */
export function useErrorText(): (code: string) => string {
  const { t, i18n } = useTranslation('errors');
  return useCallback((code) => t((i18n.exists(code, { ns: 'errors' }) ? code : 'unknown') as ErrorCode), [t, i18n]);
}
