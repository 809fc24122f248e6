import { antdTheme } from '@deepspace/ui';
import { QueryClientProvider, type QueryClient } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { ConfigProvider } from 'antd';
import type { Locale as AntdLocale } from 'antd/es/locale';
import enUS from 'antd/locale/en_US';
import type { i18n as I18n } from 'i18next';
import { useEffect, useMemo, useState } from 'react';
import { I18nextProvider, useTranslation } from 'react-i18next';
import type { AppRouter } from './router';
import { useThemeStore } from './stores/theme-store';

const cspNonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
const CSP = cspNonce === '' ? {} : { csp: { nonce: cspNonce } };

/**
 * English is built into antd; Chinese is fetched when it is read. Always some locale: with and without one,
 * ConfigProvider builds different trees, and a switch would mount the whole app anew.
 */
function useAntdLocale(): AntdLocale {
  const { i18n } = useTranslation();
  const [locale, setLocale] = useState<AntdLocale>(enUS);
  useEffect(() => {
    if (i18n.language !== 'zh-CN') {
      setLocale(enUS);
      return;
    }
    void import('antd/locale/zh_CN').then((module) => setLocale(module.default));
  }, [i18n.language]);
  return locale;
}

interface AppProps {
  router: AppRouter;
  queryClient: QueryClient;
  i18n: I18n;
}

function Themed({ router }: Pick<AppProps, 'router'>) {
  const name = useThemeStore((state) => state.name);
  const theme = useMemo(() => antdTheme(name), [name]);
  const locale = useAntdLocale();
  return (
    <ConfigProvider theme={theme} locale={locale} {...CSP}>
      <RouterProvider router={router} />
    </ConfigProvider>
  );
}

export function App({ router, queryClient, i18n }: AppProps) {
  return (
    <I18nextProvider i18n={i18n}>
      <QueryClientProvider client={queryClient}>
        <Themed router={router} />
      </QueryClientProvider>
    </I18nextProvider>
  );
}
