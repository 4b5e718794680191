import { type Projector, type Rule, randomKey, sizeOf } from '@frugaljs/core';
import { type Law, optimizerLaw, require, show } from '../law.js';
import { orthonormalRows } from '../numerics.js';
import {
  type Algebra,
  COORDINATE,
  composed,
  DENSE,
  follow,
  gradientValues,
  type LawfulOptimizer,
  NEVER,
  only,
  RATE,
  reductionExamples,
  requireSamePath,
  startValues,
  type Values,
  withShapes,
} from './fixture.js';

const coordinateNames = [...COORDINATE];
const allNames = [...COORDINATE, ...DENSE];

/** Compositions that come to a known optimizer, or to each other. */
export const REDUCTION_LAWS: readonly Law<Algebra>[] = [
  // What is in the subspace, each under its own conditions.
  optimizerLaw({
    name: 'FRUGAL Algorithm 2 in plain numbers',
    formula: 'mⱼ ← βmⱼ + (1-β)gⱼ for j ∈ J, else 0; xⱼ ← xⱼ - α mⱼ for j ∈ J, else xⱼ - α gⱼ',
    why: 'A coordinate that comes back starts from zero momentum; one that stays keeps it (Algorithm 2 of FRUGAL, arXiv 2411.07837, as its authors corrected it).',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { one, m, n } = only({ ...stream, steps: 9 });
      const sets = Array.from({ length: 9 }, (_, refreshIndex) => rowsOf(seed + 31 * refreshIndex, m));
      const use = algebra.subspace({
        projector: algebra.projectors.given({
          kind: 'rows',
          indices: (_, refreshIndex) => sets[Math.min(refreshIndex, 8)]!,
        }),
        rule: algebra.rules.sgdm({ momentum: 0.9, convention: 'ema' }),
        combine: algebra.residual(algebra.rules.sgd()),
        refresh: { every },
        onRefresh: 'transport',
      });
      const x = Float64Array.from(startValues(one)['a']!);
      const momentum = new Float64Array(m * n);
      const expected: Values[] = [];
      for (let step = 0; step < one.steps; step++) {
        const g = gradientValues(one, step)['a']!;
        const inside = sets[Math.floor(step / every)]!;
        for (let i = 0; i < m * n; i++) {
          const active = inside.includes(Math.floor(i / n));
          momentum[i] = active ? 0.9 * momentum[i]! + 0.1 * g[i]! : 0;
          x[i]! -= RATE * (active ? momentum[i]! : g[i]!);
        }
        expected.push({ a: Float32Array.from(x) });
      }
      requireSamePath('rows', await follow(one, composed(algebra, use)), expected, 2e-6);
    },
  }),
  optimizerLaw({
    name: 'density 1 is the state-full rule',
    formula:
      'coordinate projector with ρ = 1, T = ∞ or transport: subspace(P, AdamW, residual(sign)) = AdamW, bit for bit',
    why: 'What is left over must be exactly 0, and state must follow its coordinates.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay }) => {
      const plain = await follow(stream, composed(algebra, algebra.rules.adamW(), { weightDecay }));
      for (const projector of [
        ...coordinateNames.map(name => algebra.projectors[name]({ density: 1 })),
        algebra.projectors.identity(),
      ]) {
        for (const [refresh, onRefresh] of [
          [NEVER, 'reset'],
          [{ every }, 'transport'],
        ] as const) {
          const use = algebra.subspace({
            projector,
            rule: algebra.rules.adamW(),
            combine: algebra.residual(algebra.rules.signSgd()),
            refresh,
            onRefresh,
          });
          requireSamePath(
            `${projector.kind}, ${onRefresh}`,
            await follow(stream, composed(algebra, use, { weightDecay })),
            plain,
          );
        }
      }
    },
  }),
  optimizerLaw({
    name: 'a reset is a restart',
    formula: 'ρ = 1, T finite, reset: the rule made anew every T steps, counter included',
    why: 'State kept over a reset belongs to other coordinates; a counter kept over it has the wrong bias correction.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay }) => {
      const make = (): LawfulOptimizer => composed(algebra, algebra.rules.adamW(), { weightDecay });
      let current = make();
      const restarted = (step: number): LawfulOptimizer => {
        if (step > 0 && step % every === 0) current = make();
        return current;
      };
      const expected = await follow(stream, restarted);
      for (const name of coordinateNames) {
        const use = algebra.subspace({
          projector: algebra.projectors[name]({ density: 1 }),
          rule: algebra.rules.adamW(),
          combine: algebra.residual(algebra.rules.signSgd()),
          refresh: { every },
          onRefresh: 'reset',
        });
        requireSamePath(
          `${name}, every ${every}`,
          await follow(stream, composed(algebra, use, { weightDecay })),
          expected,
        );
      }
    },
  }),
  optimizerLaw({
    name: 'density 0 is the state-free rule',
    formula: 'ρ = 0: subspace(P, AdamW, residual(rule, scale)) = rule at the rate η · scale · lrScale; decay with η',
    why: 'An empty subspace must cost nothing and change nothing; scales must not reach the decay.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay, seed }) => {
      const [scale, lrScale] = [[1, 0.25][seed % 2]!, [1, 0.5][(seed >> 1) % 2]!];
      for (const free of [algebra.rules.signSgd(), algebra.rules.sgd()]) {
        const expected = await follow(stream, composed(algebra, free, { weightDecay, lrScale: lrScale * scale }));
        for (const name of allNames) {
          const use = algebra.subspace({
            projector: algebra.projectors[name]({ density: 0 }),
            rule: algebra.rules.adamW(),
            combine: algebra.residual(free, { scale }),
            refresh: { every },
          });
          const found = await follow(stream, composed(algebra, use, { weightDecay, lrScale }));
          requireSamePath(`${name}, ${free.kind}`, found, expected, 1e-6);
        }
      }
    },
  }),
  optimizerLaw({
    name: 'sign on both sides is signSGD',
    formula:
      'coordinate projector, any ρ and T: sign inside (signSGD, Lion with β₁ = 0, first Adam steps) and outside = signSGD',
    why: 'Every coordinate must be stepped on exactly once, at the same rate on both sides.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const { rules } = algebra;
      const expected = await follow(stream, composed(algebra, rules.signSgd()));
      for (const name of coordinateNames) {
        for (const [inside, gap, tolerance] of [
          [rules.signSgd(), every, 0],
          [rules.lion({ beta1: 0 }), every, 0],
          [rules.adamW({ epsilon: 0 }), 1, 1e-5],
        ] as const) {
          const use = algebra.subspace({
            projector: algebra.projectors[name]({ density }),
            rule: inside,
            combine: algebra.residual(rules.signSgd()),
            refresh: { every: gap },
          });
          const found = await follow(stream, composed(algebra, use));
          requireSamePath(`${name}, ${inside.kind} inside`, found, expected, tolerance);
        }
      }
    },
  }),
  optimizerLaw({
    name: 'SGD on both sides is SGD',
    formula: 'any orthonormal projector, any ρ and T: ΠG + (G - ΠG) = G',
    why: 'The two parts must share the gradient out without overlap or gap.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const expected = await follow(stream, composed(algebra, algebra.rules.sgd()));
      for (const name of allNames) {
        const use = algebra.subspace({
          projector: algebra.projectors[name]({ density }),
          rule: algebra.rules.sgd(),
          combine: algebra.residual(algebra.rules.sgd(), { tolerance: 0 }),
          refresh: { every },
        });
        requireSamePath(name, await follow(stream, composed(algebra, use)), expected, 1e-5);
      }
    },
  }),
  // Who steps on what.
  optimizerLaw({
    name: 'blocks without a residual are BAdam',
    formula: 'blockwise, drop, reset: an optimizer for the active block alone, made anew at every switch',
    why: 'Inactive blocks must rest, keep no state and start afresh.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay, seed }) => {
      const names = ['w0', 'w1', 'w2', 'w3'];
      const shape = [3, 2];
      const blocks = withShapes(stream, Object.fromEntries(names.map(name => [name, shape])));
      const order = seed % 2 === 0 ? 'ascending' : 'descending';
      const use = algebra.subspace({
        projector: algebra.projectors.blockwise({ density: 0.25, order }),
        rule: algebra.rules.adamW(),
        refresh: { every },
      });
      const found = await follow(blocks, composed(algebra, use, { weightDecay, decayInactive: false }));
      let values = startValues(blocks);
      const expected: Values[] = [];
      for (let start = 0; start < blocks.steps; start += every) {
        const turn = (start / every) % 4;
        const active = names[order === 'ascending' ? turn : 3 - turn]!;
        const part = { ...withShapes(blocks, { [active]: shape }), steps: Math.min(every, blocks.steps - start) };
        const gradients = (step: number): Values => ({ [active]: gradientValues(blocks, start + step)[active]! });
        const before = values;
        const moved = await follow(part, composed(algebra, algebra.rules.adamW(), { weightDecay }), {
          gradients,
          start: before,
        });
        for (const step of moved) expected.push({ ...before, ...step });
        values = expected.at(-1)!;
      }
      requireSamePath(order, found, expected);
    },
  }),
  optimizerLaw({
    name: 'every entry is stepped on exactly once',
    formula: 'supports of the state-full and the state-free step are disjoint and cover everything, in every refresh',
    why: 'Overlap doubles a step, a gap leaves weights untrained.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const ones = (value: number): Values =>
        Object.fromEntries(
          Object.entries(stream.shapes).map(([name, shape]) => [name, new Float32Array(sizeOf(shape)).fill(value)]),
        );
      const sign = algebra.rules.signSgd();
      for (const name of COORDINATE) {
        const run = (combine: ReturnType<Algebra['drop']>): Promise<Values[]> =>
          follow(
            stream,
            composed(
              algebra,
              algebra.subspace({
                projector: algebra.projectors[name]({ density }),
                rule: sign,
                combine,
                refresh: { every },
              }),
              {},
              1,
            ),
            { gradients: () => ones(1), start: ones(0) },
          );
        const inside = await run(algebra.drop());
        (await run(algebra.residual(sign))).forEach((values, step) => {
          for (const [parameter, x] of Object.entries(values)) {
            const at = x.findIndex(value => value !== -(step + 1));
            require(at < 0, () =>
              `${name}: entry ${at} of "${parameter}" has made ${show(-x[at]!)} steps of ${step + 1}`);
            const before = step === 0 ? new Float32Array(x.length) : inside[step - 1]![parameter]!;
            const part = inside[step]![parameter]!.every((value, i) => [0, -1].includes(value - before[i]!));
            require(part, () => `${name}: inside, an entry of "${parameter}" moves by neither 0 nor the rate`);
          }
        });
      }
    },
  }),
  // How the subspace is described.
  optimizerLaw({
    name: 'momentum does not notice a rotation',
    formula: 'SGDM in an orthonormal basis of full rank, also a moving one with transport, is SGDM',
    why: 'State must be carried to the new basis with the right change of basis.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { one, n } = only(stream);
      const expected = await follow(one, composed(algebra, algebra.rules.sgdm()));
      for (const moves of [false, true]) {
        const projector = algebra.projectors.given({
          kind: 'right',
          basis: (_, refreshIndex) => basis(n, n, seed + (moves ? refreshIndex : 0)),
        });
        const refresh = moves ? { every } : NEVER;
        const use = algebra.subspace({ projector, rule: algebra.rules.sgdm(), refresh, onRefresh: 'transport' });
        requireSamePath(
          moves ? 'moving basis' : 'fixed basis',
          await follow(one, composed(algebra, use)),
          expected,
          2e-5,
        );
      }
    },
  }),
  optimizerLaw({
    name: 'a permutation matrix is a choice of coordinates',
    formula: 'dense basis of unit vectors on the right = columns, on the left = rows, with the same indices',
    why: 'The side of a dense projector and the axis of a coordinate projector must mean the same.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, seed }) => {
      const { one, m, n } = only(stream);
      for (const [kind, matrixKind, count] of [
        ['columns', 'right', n],
        ['rows', 'left', m],
      ] as const) {
        const indices = [...Array(count).keys()].filter(i => (seed >> i) % 2 === 0 || i === 0);
        const selection = Array.from({ length: count }, (_, i) => indices.map(index => Number(index === i)));
        const use = (projector: Projector): Rule =>
          algebra.subspace({
            projector,
            rule: algebra.rules.adamW(),
            combine: algebra.residual(algebra.rules.signSgd(), { tolerance: 0 }),
            refresh: NEVER,
          });
        const asMatrix = use(algebra.projectors.given({ kind: matrixKind, basis: () => selection }));
        const asIndices = use(algebra.projectors.given({ kind, indices: () => indices }));
        requireSamePath(
          kind,
          await follow(one, composed(algebra, asMatrix)),
          await follow(one, composed(algebra, asIndices)),
          1e-6,
        );
      }
    },
  }),
  optimizerLaw({
    name: 'order and sign of basis vectors do not matter',
    formula: 'AdamW in the basis P D Q with signs D and a permutation Q takes the steps of AdamW in P',
    why: 'Singular vectors are known only up to sign; a run must not depend on it.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, seed }) => {
      const { one, n } = only(stream);
      const straight = basis(n, Math.max(1, n - 1), seed);
      const turned = straight.map(row => row.map((x, k) => (k % 2 === 0 ? -x : x)).reverse());
      const use = (matrix: number[][]): Rule =>
        algebra.subspace({
          projector: algebra.projectors.given({ kind: 'right', basis: () => matrix }),
          // With a tiny ε the sign of a projected gradient that is all rounding noise would decide.
          rule: algebra.rules.adamW({ epsilon: 1e-3 }),
          combine: algebra.residual(algebra.rules.sgd()),
          refresh: NEVER,
        });
      const found = await follow(one, composed(algebra, use(turned)));
      requireSamePath('turned basis', found, await follow(one, composed(algebra, use(straight))), 2e-5);
    },
  }),
  optimizerLaw({
    name: 'blocks of one entry are Adam',
    formula:
      'a second moment shared by one entry (AdaLayer per tensor on 1 × 1, per row on m × 1, per column on 1 × n, Adam-mini likewise and per element) is AdamW',
    why: 'The mean must be taken over the block that is named; over another axis, layers of one output show it first.',
    notApplicable: ({ rules }) =>
      rules.adaLayer || rules.adamMini ? null : 'the algebra has neither adaLayer nor adamMini',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, weightDecay, seed }) => {
      const { m, n } = only(stream);
      const { rules } = algebra;
      const options = { beta1: [0.9, 0][seed % 2]!, beta2: 0.95, epsilon: 1e-8 };
      for (const [block, shape] of [
        ['tensor', [1, 1]],
        ['row', [m, 1]],
        ['column', [1, n]],
        ['element', [m, n]],
      ] as const) {
        const one = withShapes(stream, { a: shape });
        const expected = await follow(one, composed(algebra, rules.adamW(options), { weightDecay }));
        const sharing: readonly (Rule | undefined)[] = [
          block === 'element' ? undefined : rules.adaLayer?.({ ...options, per: block }),
          rules.adamMini?.({ ...options, block }),
        ];
        for (const rule of sharing) {
          if (rule === undefined) continue;
          const found = await follow(one, composed(algebra, rule, { weightDecay }));
          requireSamePath(`${rule.kind}, one ${block} of [${shape}] each`, found, expected, 1e-6);
        }
      }
    },
  }),
  optimizerLaw({
    name: 'LoRA with a frozen basis is GaLore',
    formula: 'W = W₀ + s B Aᵀ with orthonormal A, training B by SGD, is SGD in the subspace of A with the rate s²η',
    why: 'down and up must be the same matrix, transposed.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, seed }) => {
      const { one, m, n } = only(stream);
      const r = Math.max(1, n - 1);
      const a = basis(n, r, seed);
      const s = 2;
      const projector = algebra.projectors.given({ kind: 'right', basis: () => a });
      const use = algebra.subspace({ projector, rule: algebra.rules.sgd(), refresh: NEVER });
      const found = await follow(one, composed(algebra, use, { lrScale: s * s }));
      const w = Float64Array.from(startValues(one)['a']!);
      const expected = Array.from({ length: one.steps }, (_, step): Values => {
        const g = gradientValues(one, step)['a']!;
        for (let i = 0; i < m; i++) {
          const b = Array.from({ length: r }, (_, k) => a.reduce((sum, row, j) => sum + g[i * n + j]! * row[k]!, 0));
          for (let j = 0; j < n; j++) w[i * n + j]! -= RATE * s * s * b.reduce((sum, x, k) => sum + x * a[j]![k]!, 0);
        }
        return { a: Float32Array.from(w) };
      });
      requireSamePath('SGD', found, expected, 1e-5);
    },
  }),
  optimizerLaw({
    name: 'permuting rows permutes the update',
    formula: 'rows of W, G and of the index list permuted alike ⟹ the update is permuted, bit for bit',
    why: 'The order of neurons is arbitrary; state attached to the wrong coordinate shows here.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, seed }) => {
      const { one, m, n } = only(stream);
      const order = [...Array(m).keys()].sort((i, j) => ((seed >> i) & 1) - ((seed >> j) & 1) || j - i);
      const permute = (x: Float32Array): Float32Array =>
        Float32Array.from({ length: m * n }, (_, i) => x[order[Math.floor(i / n)]! * n + (i % n)]!);
      const use = (indices: readonly number[]): LawfulOptimizer =>
        composed(
          algebra,
          algebra.subspace({
            projector: algebra.projectors.given({ kind: 'rows', indices: () => [...new Set(indices)] }),
            rule: algebra.rules.adamW(),
            combine: algebra.residual(algebra.rules.lion()),
            refresh: NEVER,
          }),
        );
      const chosen = [0, m - 1];
      const expected = (await follow(one, use(chosen))).map(({ a }) => ({ a: permute(a!) }));
      const found = await follow(one, use(chosen.map(row => order.indexOf(row))), {
        gradients: step => ({ a: permute(gradientValues(one, step)['a']!) }),
        start: { a: permute(startValues(one)['a']!) },
      });
      requireSamePath('rows', found, expected);
    },
  }),
];

/** Some rows, at least one. */
function rowsOf(seed: number, m: number): number[] {
  const chosen = [...Array(m).keys()].filter(i => ((seed * 2654435761) >>> (i + 3)) % 2 === 1);
  // State keeps its shape, so every refresh has as many rows.
  const size = Math.max(1, Math.floor(m / 2));
  const all = [...chosen, ...[...Array(m).keys()].filter(i => !chosen.includes(i))];
  return all.slice(0, size).sort((a, b) => a - b);
}

/** Columns of a random semi-orthogonal n × r matrix, as the rows of a nested list. */
function basis(n: number, r: number, seed: number): number[][] {
  const columns = orthonormalRows(r, n, randomKey(seed, 'basis'));
  return Array.from({ length: n }, (_, i) => columns.map(column => column[i]!));
}
