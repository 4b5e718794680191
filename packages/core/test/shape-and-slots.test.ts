import { childSite, matrixView, type Shape, sameShape, sizeOf, slotBytes, slotShape, soleSite } from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shapeArbitrary } from './support/program.js';

describe('matrixView', () => {
  test.each<[Shape, Shape]>([
    [[], [1, 1]],
    [[5], [1, 5]],
    [
      [3, 4],
      [3, 4],
    ],
    [
      [2, 3, 4],
      [6, 4],
    ],
    [
      [2, 3, 4, 5],
      [24, 5],
    ],
    [
      [3, 0],
      [3, 0],
    ],
  ])('of [%s] is [%s]', (shape, expected) => {
    expect(matrixView(shape)).toEqual(expected);
  });

  test('keeps the number of elements and is its own matrix view', () => {
    fc.assert(
      fc.property(shapeArbitrary, shape => {
        expect(sizeOf(matrixView(shape))).toBe(sizeOf(shape));
        expect(matrixView(matrixView(shape))).toEqual(matrixView(shape));
      }),
    );
  });
});

describe('slotShape', () => {
  test.each<[Shape, Shape, Shape]>([
    [[], [1, 1], [1, 1]],
    [[5], [1, 1], [1, 5]],
    [
      [3, 4],
      [3, 1],
      [1, 4],
    ],
    [
      [2, 3, 4],
      [6, 1],
      [1, 4],
    ],
  ])('of [%s] is [%s] per row and [%s] per column', (shape, row, column) => {
    expect(slotShape('row', shape)).toEqual(row);
    expect(slotShape('column', shape)).toEqual(column);
    expect(slotShape('element', shape)).toEqual(shape);
    expect(slotShape('tensor', shape)).toEqual([]);
  });
});

test.each<[Shape, number, Shape]>([
  [[], 2, [1, 1]],
  [[5], 2, [1, 3]],
  [[6], 2, [1, 3]],
  [[3, 4], 8, [3, 1]],
  [[2, 3, 9], 4, [6, 3]],
])('slotShape of [%s] in blocks of %i columns is [%s]', (shape, block, expected) => {
  expect(slotShape({ block }, shape)).toEqual(expected);
  expect(slotShape(`block ${block}`, shape)).toEqual(expected);
  expect(slotShape({ block: 1 }, shape)).toEqual(shape);
});

test('slotBytes counts four bytes a value', () => {
  const slots = {
    m: { extent: 'element' },
    r: { extent: 'row' },
    c: { extent: 'column' },
    v: { extent: 'tensor' },
  } as const;
  expect(slotBytes(slots, [2, 3, 4])).toBe(4 * (24 + 6 + 4 + 1));
  expect(slotBytes({}, [2, 3, 4])).toBe(0);
});

test('sameShape compares dimensions in order', () => {
  expect(sameShape([], [])).toBe(true);
  expect(sameShape([2, 3], [2, 3])).toBe(true);
  expect(sameShape([2, 3], [3, 2])).toBe(false);
  expect(sameShape([2], [2, 1])).toBe(false);
  expect(sameShape([2, 1], [2])).toBe(false);
});

test('a site alone in its group, and the way down from it', () => {
  const site = soleSite('kernel', [4, 6], 9);
  expect(site).toEqual({
    name: 'kernel',
    shape: [4, 6],
    seed: 9,
    path: '',
    members: [{ name: 'kernel', shape: [4, 6] }],
    index: 0,
  });
  const inner = childSite(childSite(site, 'residual', [4, 6]), 'rule', [2, 6]);
  expect(inner).toEqual({ ...site, path: 'residual/rule', shape: [2, 6] });
});
