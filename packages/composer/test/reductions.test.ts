import type { Projector, Rule } from '@frugaljs/core';
import { randomKey, randomNormals, soleSite } from '@frugaljs/core';
import { blockwise, columns, dct, given, identity, randK, random, rows, sketch, svd } from '@frugaljs/projectors';
import { normalizedSgd, sgd, signSgd } from '@frugaljs/state-free';
import { adaLayer, adamW, sgdm } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  biasCorrected,
  type ComposedOptimizer,
  compose,
  drop,
  feedback,
  type Group,
  galore,
  limitGrowth,
  normalized,
  residual,
  scaledGradient,
  scaledResidual,
  subspace,
} from '../src/index.js';
import './fixtures.js';
import { deviation, follow, gradientsAt, type Stream, startOf, type Values } from './trajectory.js';

// Reductions of the algebra beyond the laws of optimizers in laws.test.ts: more sides of svd, recipes, the
// limits of what is exact.

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const RATE = 0.05;
const RUNS = { numRuns: 25 };
const NEVER = { every: Number.POSITIVE_INFINITY };

const streams = (steps = 9): fc.Arbitrary<Stream> =>
  fc
    .record({ m: fc.integer({ min: 2, max: 7 }), n: fc.integer({ min: 2, max: 7 }), seed: fc.nat(1e6) })
    .map(({ m, n, seed }) => ({
      shapes: { a: [m, n], b: [n, m], c: [m, m] },
      seed,
      steps,
    }));
const densities = fc.constantFrom(0, 0.25, 0.5, 0.75, 1);
const decays = fc.constantFrom(0, 0.1);
const gaps = fc.integer({ min: 1, max: 4 });

/** The sides of svd that the laws leave to the default. */
const SIDES = ['left', 'full', 'reverse_std'] as const;

function plain(use: Rule, more: Partial<Group> = {}): ComposedOptimizer {
  return compose({ learningRate: RATE, groups: [{ use, ...more }] });
}

describe('with density 1 the hybrid is the state-full rule', () => {
  test('identity', () => {
    fc.assert(
      fc.property(streams(), decays, gaps, (stream, weightDecay, every) => {
        for (const [refresh, onRefresh] of [
          [NEVER, 'reset'],
          [{ every }, 'transport'],
        ] as const) {
          const combine = residual(signSgd());
          const hybrid = subspace({ projector: identity(), rule: adamW(), combine, refresh, onRefresh });
          const ours = follow(stream, plain(hybrid, { weightDecay }));
          expect(deviation(ours, follow(stream, plain(adamW(), { weightDecay })))).toBe(0);
        }
      }),
      RUNS,
    );
  });

  test('Adam in a rotated basis of full rank is not Adam', () => {
    const stream: Stream = { shapes: { w: [6, 5] }, seed: 3, steps: 25 };
    const rotated = subspace({ projector: rotation(5, 7), rule: adamW(), refresh: NEVER });
    expect(deviation(follow(stream, plain(rotated)), follow(stream, plain(adamW())))).toBeGreaterThan(0.01);
  });

  test('keeping moments while the coordinates change is neither a reset nor a transport', () => {
    const stream: Stream = { shapes: { w: [8, 5] }, seed: 3, steps: 25 };
    const paths = (['keep', 'reset', 'transport'] as const).map(onRefresh =>
      follow(
        stream,
        plain(subspace({ projector: rows({ density: 0.5 }), rule: adamW(), refresh: { every: 3 }, onRefresh })),
      ),
    );
    for (const [i, j] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const)
      expect(deviation(paths[i]!, paths[j]!)).toBeGreaterThan(0.01);
  });

  test('with tolerance 0 the sign of a rounding residual takes full steps, with the default it takes none', () => {
    const stream: Stream = { shapes: { w: [16, 8] }, seed: 5, steps: 1 };
    // Gradients inside the subspace of a dense projector that is not complete.
    const q = orthonormal(8, 11);
    const low = randomNormals(randomKey(1, 'low'), 16 * 4);
    const inside = new Float32Array(16 * 8);
    for (let i = 0; i < 16; i++)
      for (let j = 0; j < 8; j++) for (let k = 0; k < 4; k++) inside[i * 8 + j]! += low[i * 4 + k]! * q[j]![k]!;
    const gradients = (): Values => ({ w: inside });
    const basis = q.map(row => row.slice(0, 4));
    const run = (tolerance: number | undefined): number => {
      const projector = given({ kind: 'right', basis: { w: [basis] } });
      const options = tolerance === undefined ? {} : { tolerance };
      const hybrid = subspace({ projector, rule: sgd(), combine: residual(signSgd(), options), refresh: NEVER });
      return deviation(follow(stream, plain(hybrid), gradients), follow(stream, plain(sgd()), gradients));
    };
    expect(run(0)).toBeGreaterThan(0.01);
    expect(run(undefined)).toBeLessThan(1e-5);
  });
});

describe('with density 0 the hybrid is the state-free rule at the scaled rate', () => {
  test.each(SIDES)('svd %s', side => {
    fc.assert(
      fc.property(
        streams(),
        decays,
        fc.constantFrom(1, 0.5),
        fc.constantFrom(1, 0.25),
        fc.boolean(),
        (stream, weightDecay, lrScale, scale, sign) => {
          const free = sign ? signSgd() : sgd();
          const hybrid = subspace({
            projector: svd({ density: 0, side }),
            rule: adamW(),
            combine: residual(free, { scale }),
            refresh: { every: 2 },
          });
          const ours = follow(stream, plain(hybrid, { weightDecay, lrScale }));
          const expected = follow(stream, plain(free, { weightDecay, lrScale: lrScale * scale }));
          expect(deviation(ours, expected)).toBeLessThan(1e-6);
        },
      ),
      { numRuns: 10 },
    );
  });
});

describe('SGD on both sides is SGD for every side of svd', () => {
  test.each(SIDES)('svd %s', side => {
    fc.assert(
      fc.property(streams(), densities, gaps, (stream, density, every) => {
        const both = residual(sgd(), { tolerance: 0 });
        const hybrid = subspace({
          projector: svd({ density, side }),
          rule: sgd(),
          combine: both,
          refresh: { every },
        });
        expect(deviation(follow(stream, plain(hybrid)), follow(stream, plain(sgd())))).toBeLessThan(1e-5);
      }),
      { numRuns: 10 },
    );
  });
});

test('FRUGAL with SVD, kept state and no residual is GaLore with scale s_p', () => {
  fc.assert(
    fc.property(streams(), fc.constantFrom(0.25, 1), gaps, (stream, scale, every) => {
      const named = { ...stream, shapes: { a: stream.shapes['a']! } };
      const projected = subspace({
        projector: svd({ density: 0.5 }),
        rule: adamW({ epsilon: 0 }),
        combine: drop(),
        refresh: { every },
        onRefresh: 'keep',
      });
      const ours = follow(named, plain(projected, { lrScale: scale }));
      const official = galore({ density: 0.5, scale, updateGap: every, learningRate: RATE, adam: { epsilon: 0 } });
      expect(deviation(ours, follow(named, official))).toBeLessThan(1e-5);
    }),
    RUNS,
  );
});

test('AdaLayer divided by √N is Adam on blocks of one element, also for vectors', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.constantFrom('mean', 'sqrtNumel'), decays, (seed, normalization, weightDecay) => {
      const single: Stream = { shapes: { w: [1, 1], v: [1] }, seed, steps: 12 };
      const betas = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
      const expected = follow(single, plain(adamW(betas), { weightDecay }));
      const found = follow(single, plain(adaLayer({ ...betas, normalization }), { weightDecay }));
      expect(deviation(found, expected)).toBeLessThan(1e-6);
    }),
    RUNS,
  );
});

test('block-wise without a residual is BAdam: blocks take turns, start afresh and rest without decay', () => {
  fc.assert(
    fc.property(
      fc.nat(1e6),
      fc.constantFrom(1, 2),
      gaps,
      decays,
      fc.constantFrom('ascending', 'descending'),
      (seed, c, every, weightDecay, order) => {
        const names = ['w0', 'w1', 'w2', 'w3'];
        const stream: Stream = { shapes: Object.fromEntries(names.map(name => [name, [3, 2]])), seed, steps: 13 };
        const blocks = subspace({ projector: blockwise({ density: c / 4, order }), rule: adamW(), refresh: { every } });
        const ours = follow(stream, plain(blocks, { weightDecay, decayInactive: false }));
        // BAdam by its definition: an optimizer for the active block alone, made anew at every switch.
        let values = startOf(stream);
        const path: Values[] = [];
        for (let start = 0; start < stream.steps; start += every) {
          const pointer = (start / every) * c;
          const active = [...Array(c).keys()].map(i => {
            const at = (pointer + i) % 4;
            return names[order === 'ascending' ? at : 3 - at]!;
          });
          const steps = Math.min(every, stream.steps - start);
          const part: Stream = { shapes: Object.fromEntries(active.map(name => [name, [3, 2]])), seed, steps };
          const gradients = (step: number): Values => {
            const all = gradientsAt(stream, start + step);
            return Object.fromEntries(active.map(name => [name, all[name]!]));
          };
          const before = values;
          const moved = follow(part, plain(adamW(), { weightDecay }), gradients, values);
          for (const step of moved) path.push({ ...before, ...step });
          values = path.at(-1)!;
        }
        expect(deviation(ours, path)).toBe(0);
      },
    ),
    RUNS,
  );
});

describe('FRUGAL Algorithm 2, SGDM on a coordinate set and SGD on the rest', () => {
  const algorithm2 = (density: number, every: number): ComposedOptimizer =>
    plain(
      subspace({
        projector: rows({ density }),
        rule: sgdm({ momentum: 0.9, convention: 'ema' }),
        combine: residual(sgd()),
        refresh: { every },
        onRefresh: 'transport',
      }),
    );
  test('J = all is EMA momentum, J = ∅ is SGD', () => {
    fc.assert(
      fc.property(streams(), gaps, (stream, every) => {
        const ema = sgdm({ momentum: 0.9, convention: 'ema' });
        expect(deviation(follow(stream, algorithm2(1, every)), follow(stream, plain(ema)))).toBe(0);
        expect(deviation(follow(stream, algorithm2(0, every)), follow(stream, plain(sgd())))).toBe(0);
      }),
      RUNS,
    );
  });
});

test('training LoRA by Adam with a frozen orthonormal A is GaLore with a fixed projector', () => {
  fc.assert(
    fc.property(streams(), fc.nat(1e6), fc.constantFrom(0.5, 2), (stream, seed, s) => {
      const [m, n] = stream.shapes['a']! as [number, number];
      const r = Math.max(1, n - 1);
      const basis = orthonormal(n, seed).map(row => row.slice(0, r));
      const one: Stream = { ...stream, shapes: { a: [m, n] } };
      const rule = adamW({ epsilon: 0 });
      const fixed = subspace({ projector: given({ kind: 'right', basis: { a: [basis] } }), rule, refresh: NEVER });
      const galoreWay = follow(one, plain(fixed, { lrScale: s }));
      // LoRA: W = W₀ + s B Aᵀ with A = basis; the gradient of B is s G A.
      const lora: Stream = { ...stream, shapes: { B: [m, r] } };
      const gradients = (step: number): Values => {
        const g = gradientsAt(one, step)['a']!;
        const out = new Float32Array(m * r);
        for (let i = 0; i < m; i++)
          for (let k = 0; k < r; k++) for (let j = 0; j < n; j++) out[i * r + k]! += s * g[i * n + j]! * basis[j]![k]!;
        return { B: out };
      };
      const factors = follow(lora, plain(rule), gradients, { B: new Float32Array(m * r) });
      const w0 = startOf(one)['a']!;
      const loraWay = factors.map(({ B }) => {
        const w = Float32Array.from(w0);
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++) for (let k = 0; k < r; k++) w[i * n + j]! += s * B![i * r + k]! * basis[j]![k]!;
        return { a: w };
      });
      expect(deviation(galoreWay, loraWay)).toBeLessThan(1e-4);
    }),
    RUNS,
  );
});

describe('feedback gives everything in the end', () => {
  const PROJECTORS = { rows, columns, randK, blockwise, svd, random, dct } as const;

  test.each(Object.keys(PROJECTORS) as (keyof typeof PROJECTORS)[])(
    '%s, SGD inside: what was applied and what is carried are all gradients, and a skipped update leaves what is carried',
    async name => {
      await fc.assert(
        fc.asyncProperty(
          streams(),
          gaps,
          fc.constantFrom(0.5, 0.75, 1),
          fc.nat(8),
          async (stream, every, density, skipped) => {
            const use = subspace({
              projector: PROJECTORS[name]({ density }),
              rule: sgd(),
              combine: feedback(),
              refresh: { every },
            });
            const optimizer = compose({ learningRate: RATE, groups: [{ use }], onNonFinite: 'skip' });
            const start = startOf(stream);
            const variables = Object.entries(stream.shapes).map(([key, shape]) =>
              tf.tidy(() => tf.variable(tf.tensor(start[key]!, [...shape]), true, key)),
            );
            const given: Record<string, Float64Array> = {};
            for (let step = 0; step < stream.steps; step++) {
              const values = gradientsAt(stream, step);
              if (step === skipped) values['b']![0] = Number.NaN;
              const carriedBefore = await carriedOf(optimizer);
              const tensors = Object.fromEntries(
                Object.entries(values).map(([key, x]) => [key, tf.tensor(x, [...stream.shapes[key]!])]),
              );
              optimizer.applyGradients(tensors);
              tf.dispose(tensors);
              const carried = await carriedOf(optimizer);
              if (step === skipped) expect(carried).toEqual(carriedBefore);
              for (const variable of variables) {
                const { name: key } = variable;
                const sums = given[key] ?? new Float64Array(variable.size);
                given[key] = step === skipped ? sums : sums.map((x, i) => x + values[key]![i]!);
                const applied = variable.dataSync().map((w, i) => (start[key]![i]! - w) / RATE);
                given[key]!.forEach((sum, i) => {
                  // W is rounded to about 1e-7 of its size, which counts 1 / RATE times.
                  expect(Math.abs(applied[i]! + (carried[key]?.[i] ?? 0) - sum)).toBeLessThan(1e-4);
                });
              }
            }
            optimizer.dispose();
            tf.dispose(variables);
          },
        ),
        { numRuns: 8 },
      );
    },
  );

  async function carriedOf(optimizer: ComposedOptimizer): Promise<Record<string, Float32Array>> {
    const state = await optimizer.getWeights();
    return Object.fromEntries(
      state
        .filter(({ name }) => name.endsWith('combine/error'))
        .map(({ name, tensor }) => [name.split('::')[0]!, tensor.dataSync().slice() as Float32Array]),
    );
  }
});

describe('wrappers are what they are named after', () => {
  test('SGD, normalized, is normalized SGD', () => {
    fc.assert(
      fc.property(streams(), stream => {
        const ours = follow(stream, plain(normalized(sgd())));
        expect(deviation(ours, follow(stream, plain(normalizedSgd())))).toBeLessThan(1e-5);
      }),
      RUNS,
    );
  });

  test('AdamW without correction of bias, corrected, is AdamW, if ε is 0', () => {
    fc.assert(
      fc.property(streams(), decays, (stream, weightDecay) => {
        const later = biasCorrected(adamW({ biasCorrection: false, epsilon: 0 }));
        const ours = follow(stream, plain(later, { weightDecay }));
        expect(deviation(ours, follow(stream, plain(adamW({ epsilon: 0 }), { weightDecay })))).toBeLessThan(1e-5);
      }),
      RUNS,
    );
  });

  test('around a subspace of everything as around the rule, and on a residual of everything too', () => {
    fc.assert(
      fc.property(streams(), stream => {
        const expected = follow(stream, plain(limitGrowth(adamW())));
        const within = subspace({ projector: identity(), rule: adamW(), refresh: NEVER });
        expect(deviation(follow(stream, plain(limitGrowth(within))), expected)).toBe(0);
        const outside = subspace({
          projector: rows({ density: 0 }),
          rule: sgd(),
          combine: residual(limitGrowth(adamW())),
          refresh: NEVER,
        });
        expect(deviation(follow(stream, plain(outside)), expected)).toBe(0);
      }),
      RUNS,
    );
  });
});

describe('the directions of APOLLO and Fira', () => {
  const first = (use: Rule, stream: Stream): Float32Array => {
    const w = follow({ ...stream, steps: 1 }, plain(use))[0]!['a']!;
    return w.map((x, i) => (startOf(stream)['a']![i]! - x) / RATE);
  };

  test('with signs inside a sketch, every row that it keeps is the row of the gradient at the length √r / ‖R‖ times its own', () => {
    fc.assert(
      fc.property(streams(), fc.constantFrom(1, 2), (stream, rank) => {
        const [m, n] = stream.shapes['a']! as [number, number];
        const projector = sketch({ rank, side: 'right' });
        const use = subspace({ projector, rule: signSgd(), combine: scaledGradient(), refresh: NEVER });
        const one: Stream = { ...stream, shapes: { a: [m, n] } };
        const [d, g] = [first(use, one), gradientsAt(one, 0)['a']!];
        const site = { ...soleSite('a', [m, n]) };
        const basis = projector.fit(null, null, { site, refreshIndex: 0 });
        const low = projector.down(tf.tensor(g, [m, n]), basis, site).dataSync();
        for (let i = 0; i < m; i++) {
          const length = Math.hypot(...low.slice(i * rank, (i + 1) * rank));
          for (let j = 0; j < n; j++) {
            const expected = (Math.sqrt(rank) / (length + 1e-8)) * g[i * n + j]!;
            expect(Math.abs(d[i * n + j]! - expected)).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected)) + 1e-4);
          }
        }
      }),
      RUNS,
    );
  });

  test('a scaled residual moves along the gradient in every row outside of the subspace', () => {
    fc.assert(
      fc.property(streams(), stream => {
        const [m, n] = stream.shapes['a']! as [number, number];
        const one: Stream = { ...stream, shapes: { a: [m, n] } };
        const projector = columns({ density: 0.5 });
        const use = subspace({ projector, rule: adamW(), combine: scaledResidual(), refresh: NEVER });
        const [d, g] = [first(use, one), gradientsAt(one, 0)['a']!];
        const site = soleSite('a', [m, n]);
        const inside = projector.fit(null, null, { site, refreshIndex: 0 })['indices']!.dataSync();
        const outside = [...Array(n).keys()].filter(column => !inside.includes(column));
        for (let i = 0; i < m; i++) {
          const row = outside.map(column => i * n + column);
          for (const [j, k] of row.slice(1).map((place, at) => [row[at]!, place] as const)) {
            // One factor for the row. W is rounded to about 1e-7 of its size, which counts 1 / RATE times in d.
            const allowed = 1e-4 * (1 + Math.abs(d[j]!) + Math.abs(d[k]!)) * (Math.abs(g[j]!) + Math.abs(g[k]!));
            expect(Math.abs(d[j]! * g[k]! - d[k]! * g[j]!)).toBeLessThan(allowed);
          }
        }
      }),
      RUNS,
    );
  });
});

/** Rows of a random orthogonal n × n matrix, by Gram–Schmidt in float64. */
function orthonormal(n: number, seed: number): number[][] {
  const columnsOf: number[][] = [];
  const source = randomNormals(randomKey(seed, 'basis'), n * n);
  for (let k = 0; k < n; k++) {
    const v = [...source.slice(k * n, (k + 1) * n)];
    for (let pass = 0; pass < 2; pass++) {
      for (const u of columnsOf) {
        const along = u.reduce((sum, x, i) => sum + x * v[i]!, 0);
        u.forEach((x, i) => {
          v[i]! -= along * x;
        });
      }
    }
    const norm = Math.hypot(...v);
    columnsOf.push(v.map(x => x / norm));
  }
  return Array.from({ length: n }, (_, i) => columnsOf.map(column => column[i]!));
}

/** A full-rank right projector with a random orthogonal basis. */
function rotation(n: number, seed: number): Projector {
  return given({ kind: 'right', basis: () => orthonormal(n, seed) });
}
