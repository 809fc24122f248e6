// Writes .br and .gz beside every text asset of dist, so that the gateway never compresses at request time.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const TEXT = /\.(js|css|html|svg|json|webmanifest|txt)$/;
const brotli = promisify(brotliCompress);
const gz = promisify(gzip);

async function compress(path) {
  const raw = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
  const [br, gzipped] = await Promise.all([brotli(raw, { params }), gz(raw, { level: 9 })]);
  if (br.length < raw.length) writeFileSync(`${path}.br`, br);
  if (gzipped.length < raw.length) writeFileSync(`${path}.gz`, gzipped);
}

// index.html is skipped: the gateway writes a nonce into it, so it cannot be served from a compressed copy.
const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && TEXT.test(entry.name) && entry.name !== 'index.html')
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .filter((path) => !path.includes(`${join('dist', '.vite')}`));
await Promise.all(files.map(compress));
console.log(`precompressed ${files.length} files`);
