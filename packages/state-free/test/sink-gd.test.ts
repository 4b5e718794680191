import { matrixView, type Shape } from '@frugaljs/core';
import { sinkGd } from '@frugaljs/state-free';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream } from '../../../tools/test-support/gradients.js';
import { directionOf } from '../../../tools/test-support/rule-run.js';
import { blocksOf, fromBlocks, normOf } from './blocks.js';

function reference(gradient: ArrayLike<number>, shape: Shape, iterations: number): number[] {
  const [rows, columns] = matrixView(shape);
  let x = Array.from(gradient);
  const normalize = (per: 'row' | 'column', target: number) => {
    const blocks = blocksOf(x, shape, per).map(block => {
      const norm = normOf(block);
      return norm === 0 ? block : block.map(value => (target * value) / norm);
    });
    x = fromBlocks(blocks, shape, per);
  };
  for (let i = 0; i < iterations; i++) {
    normalize('row', Math.sqrt(columns));
    normalize('column', Math.sqrt(rows));
  }
  return x;
}

describe.each(BACKENDS)('sinkGd on %s', backend => {
  useBackend(backend);

  it.each([1, 2, 5])('alternates between rows and columns, %i rounds', iterations => {
    for (const shape of [
      [1, 6],
      [6, 1],
      [3, 5],
      [8, 4],
      [2, 3, 4],
    ]) {
      for (const gradient of gradientStream(54, shape, 3)) {
        expectClose(directionOf(sinkGd({ iterations }), shape, gradient), reference(gradient, shape, iterations), 1e-5);
      }
    }
  });

  it('has the norm √(m n) and columns of norm √m', () => {
    const shape = [6, 10];
    const d = directionOf(sinkGd(), shape, gradientStream(55, shape, 1)[0]!);
    expect(normOf(Array.from(d))).toBeCloseTo(Math.sqrt(60), 4);
    for (const column of blocksOf(d, shape, 'column')) expect(normOf(column)).toBeCloseTo(Math.sqrt(6), 4);
  });

  it('normalizes a vector once', () => {
    const d = directionOf(sinkGd(), [4], [3, -4, 0, 0]);
    expectClose(d, [1.2, -1.6, 0, 0]);
    expect(directionOf(sinkGd(), [], [-7])).toEqual(Float32Array.of(-1));
  });

  it('leaves rows and columns of zeros at 0', () => {
    const d = directionOf(sinkGd(), [3, 3], [1, 0, 2, 0, 0, 0, 3, 0, -4]);
    expect(blocksOf(d, [3, 3], 'row')[1]).toEqual([0, 0, 0]);
    expect(blocksOf(d, [3, 3], 'column')[1]).toEqual([0, 0, 0]);
    expect(d.every(Number.isFinite)).toBe(true);
    expect(d[0]).toBeGreaterThan(0);
  });
});

describe('sinkGd', () => {
  useBackend('cpu');

  it('has nearly equal rows after 5 rounds on a dense gradient', () => {
    const shape = [12, 20];
    const dense = gradientStream(56, shape, 1)[0]!.map((g, i) => Math.sign(g || 1) * (1 + (i % 7)));
    for (const row of blocksOf(directionOf(sinkGd(), shape, dense), shape, 'row')) {
      expect(Math.abs(normOf(row) / Math.sqrt(20) - 1)).toBeLessThan(2e-3);
    }
  });

  it('ignores the size of the gradient', () => {
    const gradient = gradientStream(57, [4, 5], 1)[0]!;
    const scaled = gradient.map(g => 2 ** 12 * g);
    expect(directionOf(sinkGd(), [4, 5], scaled)).toEqual(directionOf(sinkGd(), [4, 5], gradient));
  });
});
