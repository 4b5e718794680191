import { InvalidOptionError, matrixView, type Shape, UnsupportedShapeError } from '@frugaljs/core';
import { type AdamMiniOptions, adamMini, adamW } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';
import { meanOf } from './matrix.js';

/** Number of the block that entry (i, j) belongs to. */
function blockOf({ block = 'row', heads = null }: AdamMiniOptions, shape: Shape): (i: number, j: number) => number {
  const [rows, columns] = matrixView(shape);
  if (block === 'element') return (i, j) => i * columns + j;
  if (block === 'tensor') return () => 0;
  const group = heads === null ? 1 : (block === 'row' ? rows : columns) / heads;
  return (i, j) => Math.floor((block === 'row' ? i : j) / group);
}

function reference(gradients: readonly ArrayLike<number>[], shape: Shape, options: AdamMiniOptions): number[][] {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  const columns = matrixView(shape)[1];
  const block = blockOf(options, shape);
  const blocks = Array.from(gradients[0]!, (_, k) => block(Math.floor(k / columns), k % columns));
  const m = new Float64Array(blocks.length);
  const v = new Map<number, number>();
  return gradients.map((gradient, step) => {
    for (const b of new Set(blocks)) {
      const mean = meanOf(Array.from(gradient, g => g * g).filter((_, k) => blocks[k] === b));
      v.set(b, beta2 * (v.get(b) ?? 0) + (1 - beta2) * mean);
    }
    return Array.from(gradient, (g, k) => {
      m[k] = beta1 * m[k]! + (1 - beta1) * g;
      const root = Math.sqrt(v.get(blocks[k]!)! / (1 - beta2 ** (step + 1)));
      return m[k]! / (1 - beta1 ** (step + 1)) / (root + epsilon);
    });
  });
}

describe.each(BACKENDS)('adamMini on %s', backend => {
  useBackend(backend);

  it.each(['element', 'row', 'column', 'tensor'] as const)('has one second moment per %s', block => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(25, shape, 12);
      for (const options of [{ block }, { block, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }]) {
        expectAllClose(directions(adamMini(options), shape, gradients), reference(gradients, shape, options));
      }
    }
  });

  it.each<[AdamMiniOptions, Shape]>([
    [{ heads: 3 }, [6, 4]],
    [{ heads: 2, epsilon: 0 }, [6, 4]],
    [{ heads: 4 }, [2, 4, 3]],
    [{ heads: 2, block: 'column' }, [3, 4]],
    [{ heads: 3, block: 'column' }, [6]],
  ])('has one second moment per head with %o on %o', (options, shape) => {
    const gradients = gradientStream(26, shape, 12);
    expectAllClose(directions(adamMini(options), shape, gradients), reference(gradients, shape, options));
  });

  it('is AdamW on blocks of one entry', () => {
    const gradients = gradientStream(27, [3, 4], 20);
    const adam = directions(adamW(), [3, 4], gradients);
    expect(directions(adamMini({ block: 'element' }), [3, 4], gradients)).toEqual(adam);
    const column = gradientStream(28, [5, 1], 20);
    expectAllClose(directions(adamMini({ heads: 5 }), [5, 1], column), directions(adamW(), [5, 1], column), 1e-6);
  });
});

describe('adamMini', () => {
  useBackend('cpu');

  it('stores the moment of a head in each of its rows', () => {
    const run = new RuleRun(adamMini({ heads: 2 }), [4, 3]);
    for (const gradient of gradientStream(29, [4, 3], 5)) run.step(gradient);
    expect(run.slotShapes()).toEqual({ m: [4, 3], v: [4, 1] });
    const [a, b, c, d] = run.slot('v');
    expect([b, d]).toEqual([a, c]);
    expect(a).not.toBe(c);
    run.dispose();
  });

  it('is an expression without heads and a tensor rule with them', () => {
    expect(adamMini().type).toBe('expression');
    expect(adamMini({ heads: 2 }).type).toBe('tensor');
  });

  it('rejects heads that do not fit', () => {
    expect(() => adamMini({ heads: 4 }).state([6, 4])).toThrow(UnsupportedShapeError);
    expect(() => adamMini({ heads: 4, block: 'tensor' })).toThrow(InvalidOptionError);
    expect(() => adamMini({ heads: 0 })).toThrow(InvalidOptionError);
    expect(() => adamMini({ heads: 1.5 })).toThrow(InvalidOptionError);
  });
});
