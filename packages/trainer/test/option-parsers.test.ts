import { expect, test } from 'vitest';
import { integer, number, text } from '../src/cli/option-parsers.js';

test.each([
  ['12', 12],
  ['+3', 3],
  ['-7', -7],
  [' 5 ', 5],
  ['2e3', 2000],
  ['1E+6', 1_000_000],
  ['9007199254740991', 9007199254740991],
])('%j is an integer', (given, expected) => {
  expect(integer(Number.NEGATIVE_INFINITY)(given)).toBe(expected);
});

test.each(['', ' ', '1.5', '1e-3', '0x10', '1_000', 'ten', '1e', '--3', 'Infinity', 'NaN'])('%j is none', given => {
  expect(() => integer(Number.NEGATIVE_INFINITY)(given)).toThrow(/^Expected an integer\.$/);
  expect(() => integer(0)(given)).toThrow(/^Expected an integer of at least 0\.$/);
});

test.each(['9007199254740993', '-1e16', '1e300'])('%j is too large to count', given => {
  expect(() => integer(0)(given)).toThrow(/at most 9007199254740991 either way/);
});

test('limits hold, and an end that is open is none of the range', () => {
  expect(() => integer(1)('0')).toThrow('Expected an integer of at least 1.');
  expect([number(0, 1)('0'), number(0, 1)('1'), number(0)('1e-3')]).toEqual([0, 1, 0.001]);
  expect(() => number(0, 1)('1.01')).toThrow('from 0 to 1');
  expect(() => number(0, Number.POSITIVE_INFINITY, true)('0')).toThrow('above 0');
  for (const given of ['', ' ', '1e400', 'x']) expect(() => number(0)(given)).toThrow('Expected a number');
});

test('a text is not empty', () => {
  expect(text(' a ')).toBe(' a ');
  for (const given of ['', '  ', '\n']) expect(() => text(given)).toThrow('Expected some text.');
});
