import { THEME_CHOICES, type ThemeChoice, type ThemeName } from '@deepspace/ui';
import { create } from 'zustand';

// The same key as public/boot.js, which sets the theme before the first paint.
const KEY = 'deepspace.theme';
const DARK = '(prefers-color-scheme: dark)';

interface ThemeState {
  choice: ThemeChoice;
  name: ThemeName;
  choose: (choice: ThemeChoice) => void;
}

const stored = (): ThemeChoice => THEME_CHOICES.find((choice) => choice === localStorage.getItem(KEY)) ?? 'system';

export function resolveTheme(choice: ThemeChoice): ThemeName {
  if (choice !== 'system') return choice;
  return window.matchMedia(DARK).matches ? 'dark' : 'light';
}

export const useThemeStore = create<ThemeState>()((set) => ({
  choice: stored(),
  name: resolveTheme(stored()),
  choose: (choice) => {
    localStorage.setItem(KEY, choice);
    set({ choice, name: resolveTheme(choice) });
  },
}));

/** Keeps <html data-theme> and the choice of the operating system in step with the store. */
export function followTheme(): void {
  const apply = () => {
    document.documentElement.dataset['theme'] = useThemeStore.getState().name;
  };
  window.matchMedia(DARK).addEventListener('change', () => {
    const { choice } = useThemeStore.getState();
    useThemeStore.setState({ name: resolveTheme(choice) });
  });
  useThemeStore.subscribe(apply);
  apply();
}
