import type { Projector, Rule } from '@frugaljs/core';
import { randomKey, randomNormals } from '@frugaljs/core';
import { blockwise, columns, dct, given, identity, randK, random, rows, svd } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adaLayer, adamMini, adamW, lion, sgdm } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ComposedOptimizer, compose, drop, type Group, galore, residual, subspace } from '../src/index.js';
import './fixtures.js';
import { deviation, follow, gradientsAt, type Stream, startOf, type Values } from './trajectory.js';

// The exact reductions of the algebra: algorithms D4, by number, under the conditions stated there.

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

const coordinate = (density: number): Record<string, Projector> => ({
  rows: rows({ density }),
  columns: columns({ density }),
  randK: randK({ density }),
  blockwise: blockwise({ density, order: 'random' }),
});
const dense = (density: number): Record<string, Projector> => ({
  svd: svd({ density }),
  'svd left': svd({ density, side: 'left' }),
  'svd full': svd({ density, side: 'full' }),
  'svd reverse_std': svd({ density, side: 'reverse_std' }),
  random: random({ density }),
  dct: dct({ density }),
});
const COORDINATE = Object.keys(coordinate(0.5));
const ALL = [...COORDINATE, ...Object.keys(dense(0.5))];
const projectorOf = (name: string, density: number): Projector =>
  ({ ...coordinate(density), ...dense(density) })[name]!;

function plain(use: Rule, more: Partial<Group> = {}, rate = RATE): ComposedOptimizer {
  return compose({ learningRate: rate, groups: [{ use, ...more }] });
}

describe('I1: with density 1 the hybrid is the state-full rule', () => {
  test.each([...COORDINATE, 'identity'])('%s', name => {
    fc.assert(
      fc.property(streams(), decays, gaps, (stream, weightDecay, every) => {
        const projector = name === 'identity' ? identity() : projectorOf(name, 1);
        for (const [refresh, onRefresh] of [
          [NEVER, 'reset'],
          [{ every }, 'transport'],
        ] as const) {
          const hybrid = subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh, onRefresh });
          const ours = follow(stream, plain(hybrid, { weightDecay }));
          expect(deviation(ours, follow(stream, plain(adamW(), { weightDecay })))).toBe(0);
        }
      }),
      RUNS,
    );
  });

  test.each(COORDINATE)('I1b, %s: with a reset every T steps it is the rule restarted every T steps', name => {
    fc.assert(
      fc.property(streams(), decays, gaps, (stream, weightDecay, every) => {
        const hybrid = subspace({
          projector: projectorOf(name, 1),
          rule: adamW(),
          combine: residual(signSgd()),
          refresh: { every },
        });
        let current = plain(adamW(), { weightDecay });
        const restarted = (step: number): ComposedOptimizer => {
          if (step > 0 && step % every === 0) current = plain(adamW(), { weightDecay });
          return current;
        };
        expect(deviation(follow(stream, plain(hybrid, { weightDecay })), follow(stream, restarted))).toBe(0);
      }),
      RUNS,
    );
  });

  test('I1′: Adam in a rotated basis of full rank is not Adam', () => {
    const stream: Stream = { shapes: { w: [6, 5] }, seed: 3, steps: 25 };
    const rotated = subspace({ projector: rotation(5, 7), rule: adamW(), refresh: NEVER });
    expect(deviation(follow(stream, plain(rotated)), follow(stream, plain(adamW())))).toBeGreaterThan(0.01);
  });

  test('I1′: keeping moments while the coordinates change is neither a reset nor a transport', () => {
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

  test('P4: with tolerance 0 the sign of a rounding residual takes full steps, with the default it takes none', () => {
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

describe('I2: with density 0 the hybrid is the state-free rule at the scaled rate', () => {
  test.each(ALL)('%s', name => {
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
            projector: projectorOf(name, 0),
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

describe('I3: sign on both sides is signSGD for coordinate and block projectors', () => {
  const signs: Record<string, Rule> = {
    signSgd: signSgd(),
    'lion with β₁ = 0': lion({ beta1: 0 }),
    'AdamW with ε = 0 reset at every step': adamW({ epsilon: 0 }),
  };
  test.each(COORDINATE.flatMap(name => Object.keys(signs).map(rule => [name, rule] as const)))(
    '%s, %s',
    (name, rule) => {
      fc.assert(
        fc.property(streams(), densities, gaps, (stream, density, every) => {
          const refresh = { every: rule.startsWith('AdamW') ? 1 : every };
          const hybrid = subspace({
            projector: projectorOf(name, density),
            rule: signs[rule]!,
            combine: residual(signSgd()),
            refresh,
          });
          const tolerance = rule.startsWith('AdamW') ? 1e-5 : 0;
          expect(deviation(follow(stream, plain(hybrid)), follow(stream, plain(signSgd())))).toBeLessThanOrEqual(
            tolerance,
          );
        }),
        { numRuns: 10 },
      );
    },
  );
});

describe('I4: SGD on both sides is SGD for every orthonormal projector', () => {
  test.each(ALL)('%s', name => {
    fc.assert(
      fc.property(streams(), densities, gaps, (stream, density, every) => {
        const both = residual(sgd(), { tolerance: 0 });
        const hybrid = subspace({
          projector: projectorOf(name, density),
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

describe('I5: momentum is equivariant under rotations, Adam is not', () => {
  test('SGDM in any orthonormal basis of full rank is SGDM, also when the basis moves and the buffer is carried along', () => {
    fc.assert(
      fc.property(streams(), fc.nat(1e6), fc.boolean(), gaps, (stream, seed, moves, every) => {
        const n = stream.shapes['a']![1]!;
        const one: Stream = { ...stream, shapes: { a: stream.shapes['a']! } };
        const projector = moves ? rotation(n, seed, 4) : rotation(n, seed);
        const rotated = subspace({
          projector,
          rule: sgdm(),
          refresh: moves ? { every } : NEVER,
          onRefresh: 'transport',
        });
        expect(deviation(follow(one, plain(rotated)), follow(one, plain(sgdm())))).toBeLessThan(1e-5);
      }),
      RUNS,
    );
  });
});

test('I6: FRUGAL with SVD, kept state and no residual is GaLore with scale s_p', () => {
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

test('I7: a permutation matrix as a dense basis is a choice of columns (right) or rows (left)', () => {
  fc.assert(
    fc.property(streams(), fc.nat(1e6), (stream, seed) => {
      const [m, n] = stream.shapes['a']! as [number, number];
      const one: Stream = { ...stream, shapes: { a: [m, n] } };
      for (const [kind, matrixKind, count] of [
        ['columns', 'right', n],
        ['rows', 'left', m],
      ] as const) {
        const indices = [...Array(count).keys()].filter(i => (seed >> i) % 2 === 0 || i === 0);
        const selection = Array.from({ length: count }, (_, i) => indices.map(index => Number(index === i)));
        const use = (projector: Projector): ComposedOptimizer =>
          plain(subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh: NEVER }));
        const asMatrix = use(given({ kind: matrixKind, basis: { a: [selection] } }));
        const asIndices = use(given({ kind, indices: { a: [indices] } }));
        expect(deviation(follow(one, asMatrix), follow(one, asIndices))).toBe(0);
      }
    }),
    RUNS,
  );
});

test('I8: projected Adam does not depend on the order and signs of the basis vectors', () => {
  fc.assert(
    fc.property(streams(), fc.nat(1e6), (stream, seed) => {
      const [m, n] = stream.shapes['a']! as [number, number];
      const one: Stream = { ...stream, shapes: { a: [m, n] } };
      const r = Math.max(1, n - 1);
      const basis = orthonormal(n, seed).map(row => row.slice(0, r));
      const turned = basis.map(row => row.map((x, k) => (k % 2 === 0 ? -x : x)).reverse());
      const use = (matrix: readonly number[][]): ComposedOptimizer =>
        plain(
          subspace({
            projector: given({ kind: 'right', basis: { a: [matrix] } }),
            rule: adamW(),
            combine: residual(sgd()),
            refresh: NEVER,
          }),
        );
      expect(deviation(follow(one, use(turned)), follow(one, use(basis)))).toBeLessThan(1e-5);
    }),
    RUNS,
  );
});

test('I9: AdaLayer and Adam-mini with blocks of one element are Adam', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.constantFrom('mean', 'sqrtNumel'), decays, (seed, normalization, weightDecay) => {
      const single: Stream = { shapes: { w: [1, 1], v: [1] }, seed, steps: 12 };
      const betas = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
      const expected = follow(single, plain(adamW(betas), { weightDecay }));
      expect(
        deviation(follow(single, plain(adaLayer({ ...betas, normalization }), { weightDecay })), expected),
      ).toBeLessThan(1e-6);
      const matrix: Stream = { shapes: { w: [3, 4] }, seed, steps: 12 };
      const mini = plain(adamMini({ ...betas, block: 'element' }), { weightDecay });
      expect(deviation(follow(matrix, mini), follow(matrix, plain(adamW(betas), { weightDecay })))).toBeLessThan(1e-6);
    }),
    RUNS,
  );
});

test('I10: block-wise without a residual is BAdam: blocks take turns, start afresh and rest without decay', () => {
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

describe('I11: Algorithm 2, SGDM on a coordinate set and SGD on the rest', () => {
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

  test('a coordinate that comes back starts from zero momentum, one that stays keeps it', () => {
    // Corrected Algorithm 2, simulated row by row with the recorded sets.
    const sets = [
      [0, 1],
      [1, 2],
      [0, 1],
    ];
    const every = 3;
    const stream: Stream = { shapes: { w: [4, 2] }, seed: 9, steps: 9 };
    const rule = subspace({
      projector: given({ kind: 'rows', indices: { w: sets } }),
      rule: sgdm({ momentum: 0.9, convention: 'ema' }),
      combine: residual(sgd()),
      refresh: { every },
      onRefresh: 'transport',
    });
    const x = Float64Array.from(startOf(stream)['w']!);
    const m = new Float64Array(8);
    const path: Values[] = [];
    for (let step = 0; step < 9; step++) {
      const g = gradientsAt(stream, step)['w']!;
      const inside = sets[Math.floor(step / every)]!;
      for (let i = 0; i < 8; i++) {
        const active = inside.includes(Math.floor(i / 2));
        m[i] = active ? 0.9 * m[i]! + 0.1 * g[i]! : 0;
        x[i]! -= RATE * (active ? m[i]! : g[i]!);
      }
      path.push({ w: Float32Array.from(x) });
    }
    expect(deviation(follow(stream, plain(rule)), path)).toBeLessThan(1e-6);
  });
});

test('I12: LoRA with a frozen orthonormal A is GaLore with a fixed projector', () => {
  fc.assert(
    fc.property(streams(), fc.nat(1e6), fc.constantFrom(0.5, 2), fc.boolean(), (stream, seed, s, adam) => {
      const [m, n] = stream.shapes['a']! as [number, number];
      const r = Math.max(1, n - 1);
      const basis = orthonormal(n, seed).map(row => row.slice(0, r));
      const one: Stream = { ...stream, shapes: { a: [m, n] } };
      const rule = adam ? adamW({ epsilon: 0 }) : sgd();
      const fixed = subspace({ projector: given({ kind: 'right', basis: { a: [basis] } }), rule, refresh: NEVER });
      const galoreWay = follow(one, plain(fixed, { lrScale: adam ? s : s * s }));
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

test('I13: permuting rows of parameter, gradient and index list permutes the update', () => {
  fc.assert(
    fc.property(streams(), fc.nat(1e6), (stream, seed) => {
      const [m, n] = stream.shapes['a']! as [number, number];
      const one: Stream = { ...stream, shapes: { a: [m, n] } };
      const order = [...Array(m).keys()].sort((i, j) => ((seed >> i) & 1) - ((seed >> j) & 1) || j - i);
      const permute = (x: Float32Array): Float32Array =>
        Float32Array.from(order.flatMap(row => [...x.slice(row * n, (row + 1) * n)]));
      const chosen = [0, m - 1];
      const use = (indices: number[]): ComposedOptimizer =>
        plain(
          subspace({
            projector: given({ kind: 'rows', indices: { a: [[...new Set(indices)]] } }),
            rule: adamW(),
            combine: residual(lion()),
            refresh: NEVER,
          }),
        );
      const straight = follow(one, use(chosen)).map(({ a }) => ({ a: permute(a!) }));
      const permuted = follow(
        one,
        use(chosen.map(row => order.indexOf(row))),
        step => ({ a: permute(gradientsAt(one, step)['a']!) }),
        { a: permute(startOf(one)['a']!) },
      );
      expect(deviation(permuted, straight)).toBe(0);
    }),
    RUNS,
  );
});

test.each(COORDINATE)('I14, %s: state-full and state-free parts cover every entry exactly once', name => {
  fc.assert(
    fc.property(streams(6), densities, gaps, (stream, density, every) => {
      const projector = projectorOf(name, density);
      const only = (full: Rule, free: Rule | null): Values[] =>
        follow(
          stream,
          plain(
            subspace({ projector, rule: full, combine: free === null ? drop() : residual(free), refresh: { every } }),
            {},
            1,
          ),
          () =>
            Object.fromEntries(
              Object.entries(stream.shapes).map(([key, [m, n]]) => [key, new Float32Array(m! * n!).fill(1)]),
            ),
          Object.fromEntries(Object.entries(stream.shapes).map(([key, [m, n]]) => [key, new Float32Array(m! * n!)])),
        );
      const covered = only(signSgd(), null);
      const both = only(signSgd(), signSgd());
      for (let step = 0; step < 6; step++) {
        for (const key of Object.keys(stream.shapes)) {
          const before = (path: readonly Values[], i: number): number => (step === 0 ? 0 : path[step - 1]![key]![i]!);
          both[step]![key]!.forEach((x, i) => {
            expect(x - before(both, i)).toBe(-1);
            expect([0, -1]).toContain(covered[step]![key]![i]! - before(covered, i));
          });
        }
      }
    }),
    { numRuns: 10 },
  );
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

/** A full-rank right projector with a random orthogonal basis, a new one in each of `epochs` epochs. */
function rotation(n: number, seed: number, epochs = 1): Projector {
  return given({ kind: 'right', basis: (_, epoch) => orthonormal(n, seed + Math.min(epoch, epochs - 1)) });
}
