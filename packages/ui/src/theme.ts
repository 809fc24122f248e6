import { theme, type ThemeConfig } from 'antd';

export const THEME_CHOICES = ['system', 'light', 'dark'] as const;
export type ThemeChoice = (typeof THEME_CHOICES)[number];
export type ThemeName = 'light' | 'dark';

const FONT = 'var(--ds-font)';

/** The same colours as styles.css, which styles everything that is not an antd component. Contrast is WCAG AA in both. */
const LIGHT = {
  colorPrimary: '#1d3fb8',
  colorLink: '#1d3fb8',
  colorBgBase: '#ffffff',
  colorBgLayout: '#f7f8fa',
  colorText: '#1b1f2a',
  colorTextSecondary: '#555b6b',
  colorTextDescription: '#555b6b',
  colorTextPlaceholder: '#686d7a',
  colorBorder: '#d5d8e0',
  colorBorderSecondary: '#e6e8ee',
  colorError: '#b42318',
};

const DARK = {
  colorPrimary: '#8aa4ff',
  colorLink: '#9db3ff',
  colorBgBase: '#12141a',
  colorBgLayout: '#0d0f14',
  colorText: '#e8eaf0',
  colorTextSecondary: '#a9afbd',
  colorTextDescription: '#a9afbd',
  colorTextPlaceholder: '#9a9fac',
  colorBorder: '#353945',
  colorBorderSecondary: '#262a34',
  colorError: '#ff8a80',
  colorTextLightSolid: '#0b1020',
};

export function antdTheme(name: ThemeName): ThemeConfig {
  return {
    algorithm: name === 'dark' ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: {
      ...(name === 'dark' ? DARK : LIGHT),
      fontFamily: FONT,
      fontSize: 14,
      borderRadius: 8,
      controlHeight: 36,
      controlHeightLG: 44,
      motionDurationMid: '0.15s',
    },
  };
}
