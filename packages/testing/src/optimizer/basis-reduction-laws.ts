import { type Projector, type Rule, randomKey } from '@frugaljs/core';
import { type Law, optimizerLaw } from '../law.js';
import { orthonormalRows } from '../numerics/orthonormal.js';
import { type Algebra, composed, type LawfulOptimizer, NEVER, RATE } from './algebra.js';
import { only, reductionExamples } from './reduction-examples.js';
import { follow, gradientValues, requireSamePath, startValues, type Values, withShapes } from './trajectory.js';

/** Columns of a random semi-orthogonal n × r matrix, as the rows of a nested list. */
function basis(n: number, r: number, seed: number): number[][] {
  const columns = orthonormalRows(r, n, randomKey(seed, 'basis'));
  return Array.from({ length: n }, (_, i) => columns.map(column => column[i]!));
}

/** Reductions that follow from how the subspace is described. */
export const BASIS_REDUCTION_LAWS: readonly Law<Algebra>[] = [
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
    lifted: ({ rules }) => (rules.adaLayer || rules.adamMini ? null : 'the algebra has neither adaLayer nor adamMini'),
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
