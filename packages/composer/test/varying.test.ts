import '@frugaljs/backend-wasm';
import { linear, type Rule } from '@frugaljs/core';
import { rows, varying } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it, test } from 'vitest';
import { useBackend } from '../../../tools/test-support/backends.js';
import { compose, compositionFromJson, residual, subspace } from '../src/index.js';
import { BACKENDS, regression, valuesOf } from './fixtures.js';

const falling = (onRefresh: 'reset' | 'keep' | 'transport' = 'reset'): Rule =>
  subspace({
    projector: varying(density => rows({ density }), linear({ from: 0.75, to: 0.25, steps: 2 })),
    rule: adamW(),
    combine: residual(signSgd()),
    refresh: { every: 3 },
    onRefresh,
  });

describe.each(BACKENDS)('a density that changes on %s', backend => {
  useBackend(backend);

  it('is planned to the byte, at every update', () => {
    const problem = regression(1);
    const before = tf.memory().numBytes;
    const optimizer = compose({
      learningRate: 0.01,
      groups: [{ match: { minRank: 2 }, use: falling() }, { use: adamW() }],
    });
    const found: number[] = [];
    for (let update = 0; update < 9; update++) {
      const { totalStateBytes } = optimizer.memoryReport(problem.variables);
      const gradients = problem.gradients();
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
      expect(tf.memory().numBytes - before).toBe(totalStateBytes);
      found.push(totalStateBytes);
    }
    expect(found[0]).toBeGreaterThan(found[3]!);
    expect(found[3]).toBeGreaterThan(found[6]!);
    expect(found[8]).toBe(found[6]);
    optimizer.dispose();
    expect(tf.memory().numBytes).toBe(before);
    problem.dispose();
  });

  it.each(['reset', 'keep', 'transport'] as const)('goes on after a restore bit for bit, with %s', async onRefresh => {
    const run = async (restoreAt: number | null): Promise<Float32Array[]> => {
      const problem = regression(2, 'varying');
      const make = () =>
        compose({ learningRate: 0.01, groups: [{ match: { minRank: 2 }, use: falling(onRefresh) }, { use: adamW() }] });
      let optimizer = make();
      for (let update = 0; update < 9; update++) {
        if (update === restoreAt) {
          const saved = await optimizer.getWeights();
          const json = JSON.parse(JSON.stringify(optimizer));
          const next = compose(compositionFromJson(json));
          await next.setWeights(saved);
          tf.dispose(saved.map(({ tensor }) => tensor));
          optimizer.dispose();
          optimizer = next;
        }
        const gradients = problem.gradients();
        optimizer.applyGradients(gradients);
        tf.dispose(gradients);
      }
      const values = valuesOf(problem.variables);
      optimizer.dispose();
      problem.dispose();
      return values;
    };
    const whole = await run(null);
    for (const at of [1, 3, 4, 6, 8]) expect(await run(at)).toEqual(whole);
  });
});

describe('intervals that grow', () => {
  useBackend('cpu');

  it.each([
    // Intervals of 2, 3, 5 (4.5 rounded), 5, 5.
    [{ every: 2, growth: 1.5, longest: 5 }, [0, 2, 5, 10, 15, 20]],
    // Of 2, 2 (2.2), 2 (2.42), 3 (2.66), 3 (2.93), 3 (3.22), 4 (3.54): no growth is lost to rounding.
    [{ every: 2, growth: 1.1 }, [0, 2, 4, 6, 9, 12, 15, 19]],
  ])('%j: refreshed at the sums of them, and no longer than the longest', (refresh, expected) => {
    const w = tf.variable(tf.ones([4, 6]), true, 'growing');
    const seen: number[] = [];
    const projector = rows({ density: 0.5 });
    const use = subspace({
      projector: {
        ...projector,
        fit: (g, previous, context) => {
          seen.push(context.refreshIndex);
          return projector.fit(g, previous, context);
        },
      },
      rule: adamW(),
      combine: residual(signSgd()),
      refresh,
    });
    const optimizer = compose({ learningRate: 0.01, groups: [{ use }], kernels: 'reference' });
    const refreshed: number[] = [];
    for (let update = 0; update < 21; update++) {
      const count = seen.length;
      const g = tf.ones([4, 6]);
      optimizer.applyGradients({ growing: g });
      g.dispose();
      if (seen.length > count) refreshed.push(update);
    }
    expect(refreshed).toEqual(expected);
    expect(optimizer.explain([w])[0]!.rule).toContain(`every 2 × ${refresh.growth}`);
    optimizer.dispose();
    w.dispose();
  });

  test.each([
    [{ every: 2, growth: 0.5 }, /refresh\.growth: expected a number in \[1, Infinity\)/],
    [{ every: 4, growth: 2, longest: 3 }, /refresh\.longest: expected at least `every`, which is 4, found 3/],
    [{ every: 4, growth: 2, stagger: true }, /refresh\.growth: expected 1 with `stagger`/],
  ])('%j is refused', (refresh, message) => {
    expect(() => subspace({ projector: rows({ density: 0.5 }), rule: adamW(), refresh })).toThrow(message);
  });

  it('a density out of range is refused where it is reached', () => {
    const projector = varying(density => rows({ density }), linear({ from: 0.5, to: 2, steps: 2 }));
    const site = { name: 'w', shape: [4, 4], seed: 0, path: '', members: [{ name: 'w', shape: [4, 4] }], index: 0 };
    expect(projector.reducedShape(site, 0)).toEqual([2, 4]);
    expect(() => projector.reducedShape(site, 2)).toThrow(
      /varying\.density at refresh 2: expected a number in \[0, 1\], found 2/,
    );
  });
});
