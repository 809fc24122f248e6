export { CopyButton } from './copy-button';
export { EmptyState } from './empty-state';
export { ErrorState } from './error-state';
export { Skeleton } from './skeleton';
export { antdTheme, THEME_CHOICES, type ThemeChoice, type ThemeName } from './theme';
