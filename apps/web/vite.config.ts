import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Browsers that run this app read woff2; the older KaTeX formats would only make the package heavier. */
function dropOldFonts(): Plugin {
  return {
    name: 'drop-old-fonts',
    generateBundle(_options, bundle) {
      for (const name of Object.keys(bundle)) if (/\.(ttf|woff)$/.test(name)) delete bundle[name];
    },
  };
}

/** What every page needs comes in one file: on a slow line each small file costs a round trip. */
const SHELL = /node_modules\/(react|react-dom|scheduler|@tanstack|i18next|react-i18next|zustand|openapi-fetch)\/|packages\/(api-client|i18n|ui)\/|src\/(hooks|lib|stores|components\/layout|components\/billing)\//;

const GATEWAY = process.env['DEEPSPACE_GATEWAY_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), dropOldFonts()],
  // The gateway replaces the placeholder in every response and sends the same nonce in the CSP header.
  html: { cspNonce: '__CSP_NONCE__' },
  server: { proxy: { '/api': GATEWAY, '/v1': GATEWAY } },
  build: { target: 'es2022', sourcemap: false, assetsInlineLimit: 0, manifest: true, chunkSizeWarningLimit: 800,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'shell', test: SHELL }] } } },
  },
});
