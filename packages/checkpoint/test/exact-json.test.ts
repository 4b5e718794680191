import type { Json } from '@frugaljs/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromExactJson, parseBoundedJson, toExactJson } from '../src/json.js';

function roundTrip(value: unknown): Json {
  return fromExactJson(parseBoundedJson(new TextEncoder().encode(toExactJson(value, 'save.trainer')), 'x'));
}

test('every number, text and structure survives', () => {
  const value = fc.letrec(tie => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.double(),
      fc.string({ unit: 'grapheme' }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'number')), tie('any'), {
        maxKeys: 4,
        noNullPrototype: true,
      }),
    ),
  })).any;
  fc.assert(
    fc.property(value, each => {
      expect(roundTrip(each)).toStrictEqual(each);
    }),
  );
  expect(Object.is(roundTrip(-0), -0)).toBe(true);
});

test('what JSON cannot carry is named by its path', () => {
  const loop: { self?: unknown } = {};
  loop.self = loop;
  const refused =
    (value: unknown): (() => unknown) =>
    () =>
      toExactJson(value, 'save.trainer');
  expect(refused({ a: [1, () => 2] })).toThrow('save.trainer.a[1]: expected numbers');
  expect(refused({ losses: Float32Array.of(1) })).toThrow(
    'save.trainer.losses: expected numbers, strings, booleans, null, arrays and plain objects, found a Float32Array',
  );
  expect(refused({ n: 1n })).toThrow('save.trainer.n');
  expect(refused(loop)).toThrow('save.trainer.self: expected');
  expect(refused({ $number: 'NaN' })).toThrow('save.trainer.$number');
  const shared = { x: 1 };
  expect(roundTrip({ a: shared, b: shared, c: undefined })).toEqual({ a: { x: 1 }, b: { x: 1 } });
});
