import { RuleTester } from 'eslint';
import noJsxText from '../eslint/no-jsx-text.js';

RuleTester.describe = describe;
RuleTester.it = it;

const tester = new RuleTester({ languageOptions: { parserOptions: { ecmaFeatures: { jsx: true } } } });
const bad = (code: string) => ({ code, errors: [{ messageId: 'literal' }] });

tester.run('no-jsx-text', noJsxText as never, {
  valid: ['<p>{t("a.b")}</p>', '<p className="x y">{" · "}</p>', '<i aria-hidden="true" type="button" />', '<p>{`${a} / ${b}`}</p>'],
  invalid: [
    bad('<p>Hello</p>'),
    bad('<p>你好</p>'),
    bad('<p>{"Hello"}</p>'),
    bad('<p>{ok ? "Yes" : x}</p>'),
    bad('<p>{x || "none"}</p>'),
    bad('<img alt="A cat" />'),
    bad('<button aria-label={`Close ${x}`} />'),
    bad('<input placeholder="Search" />'),
  ],
});
