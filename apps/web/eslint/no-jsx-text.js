// Every word a person can read comes from a locale file, so that both languages are complete.
// Flags words written straight into JSX: as text, as `{'text'}`, or in an attribute that is read out or shown.
const SPOKEN = new Set(['alt', 'aria-label', 'aria-description', 'aria-roledescription', 'aria-valuetext', 'description', 'label', 'placeholder', 'title']);
const WORD = /\p{L}/u;

function wordsOf(node) {
  if (!node) return '';
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : '';
  if (node.type === 'TemplateLiteral') return node.quasis.map((part) => part.value.cooked).join('');
  if (node.type === 'ConditionalExpression') return wordsOf(node.consequent) + wordsOf(node.alternate);
  if (node.type === 'LogicalExpression') return wordsOf(node.right);
  if (node.type === 'JSXExpressionContainer') return wordsOf(node.expression);
  return '';
}

const noJsxText = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { literal: 'Put “{{text}}” into the locale files and read it with t().' },
  },
  create(context) {
    const report = (node, text) => {
      if (WORD.test(text)) context.report({ node, messageId: 'literal', data: { text: text.trim().slice(0, 40) } });
    };
    return {
      JSXText: (node) => report(node, node.value),
      'JSXElement > JSXExpressionContainer': (node) => report(node, wordsOf(node)),
      'JSXFragment > JSXExpressionContainer': (node) => report(node, wordsOf(node)),
      JSXAttribute(node) {
        if (node.name.type === 'JSXIdentifier' && SPOKEN.has(node.name.name)) report(node, wordsOf(node.value));
      },
    };
  },
};

export default noJsxText;
