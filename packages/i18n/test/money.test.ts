import { addDecimals, compareDecimals, detectLocale, formatDuration, formatMoney } from '../src';

describe('money', () => {
  it('shows every digit of a tiny cost', () => {
    expect(formatMoney('0.00000375', 'USD', 'en-US')).toBe('$0.00000375');
    expect(formatMoney('0.000000001', 'USD', 'en-US')).toBe('$0.000000001');
  });

  it('shows at least two digits and drops the zeros behind', () => {
    expect(formatMoney('10.000000000', 'USD', 'en-US')).toBe('$10.00');
    expect(formatMoney('0.500000000', 'USD', 'en-US')).toBe('$0.50');
  });

  it('never rounds a balance up', () => {
    expect(formatMoney('9.999999999', 'USD', 'en-US', { digits: 6 })).toBe('$9.999999');
    expect(formatMoney('0.009', 'USD', 'en-US', { digits: 2 })).toBe('$0.00');
  });

  it('keeps digits that a float cannot hold', () => {
    expect(formatMoney('9007199254740993.000000001', 'USD', 'en-US')).toBe('$9,007,199,254,740,993.000000001');
  });

  it('follows the language and the currency', () => {
    expect(formatMoney('1234.5', 'USD', 'zh-CN')).toBe('US$1,234.50');
    expect(formatMoney('1234.5', 'CNY', 'zh-CN')).toBe('¥1,234.50');
    expect(formatMoney('-2', 'USD', 'en-US')).toBe('-$2.00');
  });

  it('shows what is not a number as it came', () => {
    expect(formatMoney('n/a', 'USD', 'en-US')).toBe('n/a USD');
  });
});

describe('decimal arithmetic', () => {
  it('adds exactly', () => {
    expect(addDecimals('0.1', '0.2')).toBe('0.3');
    expect(addDecimals('10.000000000', '-0.000012345')).toBe('9.999987655');
    expect(addDecimals('0.000000001', '-0.000000001')).toBe('0');
    expect(addDecimals('-0.5', '0.25')).toBe('-0.25');
    expect(addDecimals()).toBe('0');
  });

  it('compares across scales', () => {
    expect(compareDecimals('1.0', '1')).toBe(0);
    expect(compareDecimals('0.09', '0.1')).toBe(-1);
    expect(compareDecimals('-1', '-2')).toBe(1);
  });

  it('refuses what is not a decimal', () => {
    expect(() => addDecimals('1e3')).toThrow(RangeError);
    expect(() => addDecimals('')).toThrow(RangeError);
  });
});

describe('language and time', () => {
  it('takes the stored language, then the browser, then English', () => {
    expect(detectLocale('zh-CN', ['en-US'])).toBe('zh-CN');
    expect(detectLocale(null, ['fr-FR', 'zh-TW', 'en'])).toBe('zh-CN');
    expect(detectLocale('klingon', ['fr-FR'])).toBe('en-US');
  });

  it('writes short times in milliseconds and long ones in seconds', () => {
    expect(formatDuration(3.44, 'en-US')).toBe('3.4 ms');
    expect(formatDuration(812, 'en-US')).toBe('812 ms');
    expect(formatDuration(6130, 'en-US')).toBe('6.1 sec');
  });
});
