import {
  didYouMean,
  InvalidOptionError,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
} from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

describe('requireNumber', () => {
  test.each<[Parameters<typeof requireNumber>[2], number[], number[]]>([
    ['[0, 1)', [0, 0.5, 1 - 2 ** -53], [-(2 ** -1074), 1]],
    ['(0, 1]', [2 ** -1074, 1], [0, 1 + 2 ** -52]],
    ['[-1, 1]', [-1, 0, 1], [-1.1, 1.1]],
    ['(-1, 1)', [-0.9, 0.9], [-1, 1]],
    ['(0, Infinity)', [1e-300, 1e300], [0, Number.POSITIVE_INFINITY]],
    ['[0, Infinity)', [0, -0], [-1, Number.POSITIVE_INFINITY]],
    ['(-Infinity, Infinity)', [-1e308, 0], [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]],
    ['[1e-3, 2.5)', [0.001, 2.4], [0.0009, 2.5]],
  ])('%s', (interval, inside, outside) => {
    for (const value of inside) expect(requireNumber('rule.option', value, interval)).toBe(value);
    for (const value of [...outside, Number.NaN]) {
      expect(() => requireNumber('rule.option', value, interval)).toThrow(InvalidOptionError);
      expect(() => requireNumber('rule.option', value, interval)).toThrow(
        `rule.option: expected a number in ${interval}, found ${value}.`,
      );
    }
  });

  test.each([['0.5'], [null], [undefined], [[0.5]], [true], [1n], [{}]])('%o is not a number', value => {
    expect(() => requireNumber('p', value as unknown as number, '[0, 1]')).toThrow(InvalidOptionError);
  });

  test('agrees with the inequalities for any finite interval', () => {
    const bound = fc.integer({ min: -20, max: 20 });
    fc.assert(
      fc.property(bound, bound, fc.boolean(), fc.boolean(), fc.integer({ min: -25, max: 25 }), (a, b, low, high, x) => {
        const interval = `${low ? '[' : '('}${a}, ${b}${high ? ']' : ')'}` as const;
        const inside = (low ? x >= a : x > a) && (high ? x <= b : x < b);
        const check = () => requireNumber('p', x, interval);
        if (inside) expect(check()).toBe(x);
        else expect(check).toThrow(InvalidOptionError);
      }),
    );
  });
});

test('requireInteger', () => {
  expect(requireInteger('p', 3, 0)).toBe(3);
  expect(requireInteger('p', 0, 0)).toBe(0);
  for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '3' as unknown as number]) {
    expect(() => requireInteger('blocks.count', value, 0)).toThrow(
      'blocks.count: expected an integer of at least 0, found',
    );
  }
});

test('a string in the place of a number is shown as one', () => {
  expect(() => requireNumber('p', '0.5' as never, '[0, 1]')).toThrow(
    'p: expected a number in [0, 1], found the string "0.5"',
  );
  expect(() => requireInteger('p', '4' as never, 1)).toThrow(
    'p: expected an integer of at least 1, found the string "4"',
  );
});

test('requireBoolean', () => {
  expect(requireBoolean('p', true)).toBe(true);
  expect(requireBoolean('p', false)).toBe(false);
  for (const value of [0, 1, 'true', null, undefined]) {
    expect(() => requireBoolean('lion.sign', value as unknown as boolean)).toThrow(
      'lion.sign: expected true or false, found',
    );
  }
});

test('requireOneOf', () => {
  const choices: readonly string[] = ['reset', 'keep'];
  expect(requireOneOf('onRefresh', 'keep', choices)).toBe('keep');
  expect(() => requireOneOf('onRefresh', 'rest', choices)).toThrow(
    'onRefresh: expected one of reset, keep, found rest.',
  );
});

test('requireKnownKeys', () => {
  expect(() => requireKnownKeys('adamW', { beta1: 1 }, ['beta1', 'beta2'])).not.toThrow();
  expect(() => requireKnownKeys('adamW', { beta: 1 }, ['beta1', 'beta2'])).toThrow(
    'adamW.beta: expected one of the options beta1, beta2, found beta.',
  );
  expect(() => requireKnownKeys('signSgd', { beta: 1 }, [])).toThrow('signSgd.beta: expected no options, found beta.');
});

test('options that are no object are an error and not silence', () => {
  for (const options of [1e-3, 'beta1', null, [0.9], true]) {
    const call = () => requireKnownKeys('adamW', options as unknown as object, ['beta1', 'beta2']);
    expect(call).toThrow(InvalidOptionError);
    expect(call).toThrow('adamW: expected an object with the options beta1, beta2, found ');
  }
  expect(() => requireKnownKeys('signSgd', 1 as unknown as object, [])).toThrow(
    'signSgd: expected no options, found 1.',
  );
});

describe('an unknown name', () => {
  const known = ['learningRate', 'groups', 'clip', 'accumulate', 'epsilon', 'beta1', 'density', 'globalNorm'];
  test.each([
    ['lr', 'learningRate'],
    ['learning_rate', 'learningRate'],
    ['eps', 'epsilon'],
    ['betas', 'beta1'],
    ['rho', 'density'],
    ['accumlate', 'accumulate'],
    ['max_norm', 'globalNorm'],
    ['gruops', 'groups'],
  ])('%s may be meant as %s', (name, meant) => {
    expect(didYouMean(name, known)).toEqual({ advice: `Did you mean ${meant}?` });
    expect(() => requireKnownKeys('compose', { [name]: 1 }, known)).toThrow(`found ${name}. Did you mean ${meant}?`);
  });

  test.each(['x', 'temperature', 'cl', '', 'constructor', '__proto__'])('%s is nothing known', name => {
    expect(didYouMean(name, known)).toBeNull();
  });

  test('of one list is one of another', () => {
    expect(() => requireKnownKeys('lion', { lr: 1 }, ['beta1', 'beta2'])).toThrow(
      /found lr\. compose .*learningRate\.$/,
    );
    expect(() => requireKnownKeys('lion', { weight_decay: 1 }, ['beta1'])).toThrow(/The groups .*weightDecay\.$/);
  });

  test('is always found when it is a known one with one letter less', () => {
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.nat(), (name, at) => {
        const i = at % name.length;
        const slip = name.slice(0, i) + name.slice(i + 1);
        expect(didYouMean(slip, known)).toEqual({ advice: `Did you mean ${name}?` });
      }),
    );
  });
});

test('a name of millions of letters is refused and not compared', () => {
  // Comparing letter by letter would keep a table of a row for every letter, and not end in the time of a test.
  expect(() => requireKnownKeys('adamW', { ['x'.repeat(5e6)]: 1 }, ['beta1', 'weightDecay'])).toThrow(
    InvalidOptionError,
  );
  expect(() => requireOneOf('mode', 'x'.repeat(5e6), ['beta1', 'weightDecay'])).toThrow(InvalidOptionError);
});
