import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';
import noJsxText from './apps/web/eslint/no-jsx-text.js';

const SSE_HOOKS = ['apps/web/src/hooks/useChat.ts', 'apps/web/src/hooks/useChatStream.ts'];
const ANT_DESIGN_X = {
  group: ['@ant-design/x', '@ant-design/x/*'],
  message: 'Ant Design X stays behind apps/web/src/components/ai/.',
};
const SSE_PARSER = {
  group: ['eventsource-parser', 'eventsource-parser/*'],
  message: 'Server-sent events are read in hooks/useChat.ts and hooks/useChatStream.ts only.',
};
const restricted = (...patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });

export default tseslint.config(
  { ignores: ['**/node_modules/', '**/dist/', '**/*.d.ts', '.venv/', '.cache/', '.deepspace/', 'deepspace/', 'docs/', 'bench/', 'tests/'] },
  js.configs.recommended,
  tseslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx,js,mjs}'],
    plugins: { 'react-hooks': reactHooks, deepspace: { rules: { 'no-jsx-text': noJsxText } } },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      'deepspace/no-jsx-text': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: 'error',
      'no-console': 'error',
      'max-lines': ['error', 500],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 6],
      'no-restricted-globals': ['error', { name: 'fetch', message: 'Call the gateway through @deepspace/api-client.' }],
      'no-restricted-properties': ['error', { object: 'window', property: 'fetch' }, { object: 'globalThis', property: 'fetch' }],
      ...restricted(ANT_DESIGN_X, SSE_PARSER),
    },
  },
  { files: ['apps/web/src/components/ai/**'], rules: restricted(SSE_PARSER) },
  { files: SSE_HOOKS, rules: { ...restricted(ANT_DESIGN_X), 'no-restricted-globals': 'off' } },
  { files: ['packages/api-client/src/**'], rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' } },
  {
    files: ['**/test/**', '**/scripts/**', '**/*.config.{ts,js}', 'apps/web/public/**'],
    languageOptions: { globals: { console: 'readonly', process: 'readonly', document: 'readonly', window: 'readonly', localStorage: 'readonly', matchMedia: 'readonly', navigator: 'readonly' } },
    rules: { 'max-lines-per-function': 'off', 'deepspace/no-jsx-text': 'off', 'no-console': 'off' },
  },
);
