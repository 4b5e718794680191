import {
  cast,
  clone,
  concat,
  grad,
  pad,
  reshape,
  slice,
  split,
  type Tensor,
  tensor,
  tile,
  transpose,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { expectSameAsCpu, randomFloats, randomTensor, seed, sizeOf } from './compare.js';

const dtypes = ['float32', 'int32', 'bool'] as const;
const shapes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(1, 9, 17)), {
  minLength: 1,
  maxLength: 5,
});

interface Case {
  readonly shape: number[];
  readonly dtype: (typeof dtypes)[number];
  readonly seed: number;
  /** Numbers in [0, 1) that choose positions, as many as one wants. */
  readonly choices: readonly number[];
}

const cases: fc.Arbitrary<Case> = fc.record({
  shape: shapes,
  dtype: fc.constantFrom(...dtypes),
  seed,
  choices: fc.array(
    fc.integer({ min: 0, max: 999 }).map(x => x / 1000),
    { minLength: 12, maxLength: 12 },
  ),
});

function input({ shape, dtype, seed: from }: Case): Tensor {
  const floats = randomFloats(sizeOf(shape), from);
  if (dtype === 'float32') return tensor(floats, shape);
  return tensor(
    Array.from(floats, x => (dtype === 'bool' ? Number(x > 0) : Math.floor(x * 1000))),
    shape,
    dtype,
  );
}

/** One of the values 0 … bound − 1, by the i-th choice. */
const choose = ({ choices }: Case, i: number, bound: number): number => Math.floor(choices[i]! * bound);

function permutation(one: Case): number[] {
  return one.shape.map((_, axis) => axis).sort((a, b) => one.choices[a]! - one.choices[b]!);
}

const agree = (compute: (one: Case) => Tensor | Tensor[]): Promise<void> =>
  fc.assert(fc.asyncProperty(cases, one => expectSameAsCpu(() => compute(one), 0)));

describe('kernels that move data agree with the CPU backend', () => {
  it('slice', () =>
    agree(one => {
      const begin = one.shape.map((size, axis) => choose(one, axis, size));
      const size = one.shape.map((full, axis) => choose(one, axis + 5, full - begin[axis]! + 1));
      return slice(input(one), begin, size);
    }));

  it('split', () =>
    agree(one => {
      const axis = choose(one, 0, one.shape.length);
      const cut = choose(one, 1, one.shape[axis]! + 1);
      return split(input(one), [cut, one.shape[axis]! - cut], axis);
    }));

  it('concat', () =>
    agree(one => {
      const axis = choose(one, 0, one.shape.length);
      const other = one.shape.map((size, i) => (i === axis ? choose(one, 1, 4) : size));
      return concat([input(one), input({ ...one, shape: other, seed: one.seed + 1 }), input(one)], axis);
    }));

  it('pad', () =>
    agree(one => {
      const paddings = one.shape.map((_, axis): [number, number] => [choose(one, axis, 3), choose(one, axis + 5, 3)]);
      return pad(input(one), paddings, one.dtype === 'float32' ? 2.5 : 1);
    }));

  it('tile', () =>
    agree(one =>
      tile(
        input(one),
        one.shape.map((_, axis) => 1 + choose(one, axis, 3)),
      ),
    ));

  it('transpose', () => agree(one => transpose(input(one), permutation(one))));

  it('transpose of matrices', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), seed, (rows, columns, from) =>
        expectSameAsCpu(() => transpose(randomTensor([rows, columns], from)), 0),
      ),
    ));

  it('cast', () =>
    agree(one => {
      const x = one.dtype === 'float32' ? tensor([0, 0.3, -0.4, 256, Number.NaN, 1e9]) : input(one);
      return dtypes.map(dtype => cast(cast(x, dtype), 'float32'));
    }));

  it('clone', () => agree(one => [clone(input(one)), clone(clone(input(one)))]));

  it('gradients of slice, concat, pad and transpose', () =>
    fc.assert(
      fc.asyncProperty(cases, one =>
        expectSameAsCpu(() => {
          const order = permutation(one);
          const paddings = one.shape.map((): [number, number] => [1, 2]);
          const size = one.shape.map((full, axis) => 1 + choose(one, axis, full));
          const compute = (x: Tensor): Tensor => {
            const moved = transpose(pad(concat([x, x], 0), paddings), order);
            return slice(
              moved,
              one.shape.map(() => 0),
              order.map(axis => size[axis]!),
            );
          };
          const x = input({ ...one, dtype: 'float32' });
          return grad(compute)(
            x,
            randomTensor(
              order.map(axis => size[axis]!),
              one.seed + 1,
            ),
          );
        }),
      ),
      { numRuns: 30 },
    ));

  it('empty tensors', () =>
    expectSameAsCpu(() => {
      const x = reshape(tensor([]), [2, 0, 3]);
      return [
        slice(x, [1, 0, 0], [1, 0, 2]),
        pad(
          x,
          [
            [0, 0],
            [1, 1],
            [0, 0],
          ],
          4,
        ),
        transpose(x, [2, 0, 1]),
        clone(x),
      ];
    }));
});
