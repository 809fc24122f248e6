import en from '../src/locales/en-US';
import zh from '../src/locales/zh-CN';

type Tree = { [key: string]: string | Tree };

function flatten(tree: Tree, prefix = ''): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') flat.set(prefix + key, value);
    else for (const [inner, text] of flatten(value, `${prefix}${key}.`)) flat.set(inner, text);
  }
  return flat;
}

const placeholders = (text: string) => (text.match(/\{\{[^}]+\}\}/g) ?? []).map((name) => name.replace(/\s/g, '')).sort();
const zhWords = flatten(zh);
const enWords = flatten(en);

describe('the two languages', () => {
  it('have the same keys', () => {
    expect([...enWords.keys()].sort()).toEqual([...zhWords.keys()].sort());
  });

  it.each([...zhWords.keys()])('have the same placeholders in %s', (key) => {
    expect(placeholders(enWords.get(key) ?? '')).toEqual(placeholders(zhWords.get(key) ?? ''));
  });

  it('have no empty text and no Chinese in English', () => {
    for (const text of [...zhWords.values(), ...enWords.values()]) expect(text.trim()).not.toBe('');
    for (const [key, text] of enWords) expect(text, key).not.toMatch(/\p{Script=Han}/u);
  });

  const CODES =
    'unauthorized invalid_credentials permission_denied not_found validation_failed insufficient_funds model_not_found price_missing body_too_large rate_limited too_many_attempts upstream_unavailable upstream_error upstream_timeout internal_error session_expired invalid_json overloaded';
  it.each(CODES.split(' '))('explain the error %s', (code) => {
    expect(Object.keys(zh.errors)).toContain(code);
  });
});
