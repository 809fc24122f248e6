// Fails when the built app outgrows its budgets. Sizes are brotli bytes of what a browser downloads.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const KB = 1000;

const manifest = JSON.parse(readFileSync(join(DIST, '.vite', 'manifest.json'), 'utf8'));
const chunkOf = (suffix) => {
  const key = Object.keys(manifest).find((name) => name.endsWith(suffix));
  if (!key) throw new Error(`budget: no chunk for ${suffix}`);
  return key;
};

function brotliSize(file) {
  const path = join(DIST, file);
  return existsSync(`${path}.br`) ? statSync(`${path}.br`).size : brotliCompressSync(readFileSync(path)).length;
}

/** Every file a browser loads for these chunks: static imports and styles, not dynamic imports. */
function filesOf(keys, seen = new Set()) {
  for (const key of keys) {
    const chunk = manifest[key];
    if (seen.has(chunk.file)) continue;
    seen.add(chunk.file);
    for (const css of chunk.css ?? []) seen.add(css);
    filesOf(chunk.imports ?? [], seen);
  }
  return seen;
}

const sum = (files) => [...files].reduce((total, file) => total + brotliSize(file), 0);
const without = (files, known) => new Set([...files].filter((file) => !known.has(file)));

const entry = filesOf([chunkOf('index.html')]);
const locale = filesOf([chunkOf('locales/zh-CN/index.ts')]);
const start = new Set([...entry, ...locale]);
const chat = filesOf([chunkOf('pages/chat/chat-page.tsx')]);
const chatTotal = new Set([...start, ...chat]);
const rich = filesOf([chunkOf('richtext/src/index.ts')]);
const math = filesOf([chunkOf('richtext/src/math-plugin.ts')]);
const code = filesOf([chunkOf('richtext/src/highlight.ts')]);

const all = readdirSync(DIST, { recursive: true, withFileTypes: true }).filter((entryOf) => entryOf.isFile());
const shipped = all.reduce((total, file) => total + statSync(join(file.parentPath ?? file.path, file.name)).size, 0);
const forbidden = all.map((file) => file.name).filter((name) => /\.(map|ttf|woff)$/.test(name));

const rows = [
  ['entry (with one language)', sum(start), 230],
  ['chat route incl. entry', sum(chatTotal), 330],
  ['markdown (lazy)', sum(without(rich, chatTotal)), 60],
  ['KaTeX (lazy)', sum(without(math, new Set([...chatTotal, ...rich]))), 80],
  ['code highlight (lazy)', sum(without(code, new Set([...chatTotal, ...rich]))), 40],
  ['dist, all files raw+br+gz', shipped, 8000],
];
let failed = false;
for (const [name, bytes, limit] of rows) {
  const over = bytes > limit * KB;
  failed ||= over;
  console.log(`${over ? 'OVER' : 'ok  '}  ${name.padEnd(28)} ${(bytes / KB).toFixed(1).padStart(8)} kB  of ${limit} kB`);
}
if (forbidden.length > 0) {
  failed = true;
  console.log(`OVER  files that must not ship: ${forbidden.join(', ')}`);
}
process.exit(failed ? 1 : 0);
