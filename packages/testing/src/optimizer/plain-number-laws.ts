import { randomKey } from '@frugaljs/core';
import { type Law, optimizerLaw } from '../law.js';
import { orthonormalRows } from '../numerics/orthonormal.js';
import { type Algebra, composed, RATE } from './algebra.js';
import { scheduleExamples } from './schedule-examples.js';
import { follow, gradientValues, requireSamePath, startValues, type Values, withShapes } from './trajectory.js';

/** Published algorithms, written down a second time without tensors. */
export const PLAIN_NUMBER_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'FRUGAL Algorithm 4 in plain numbers',
    formula:
      'AdamW on the chosen rows and sign on the others, reset every T: m = v = t = 0 at every refresh; decay before',
    why: 'It is what the code of the FRUGAL paper (arXiv 2411.07837) does, written down a second time without tensors.',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay, seed }) => {
      const shape = stream.shapes['a'] as [number, number];
      const one = withShapes(stream, { a: shape });
      const [m, n] = shape;
      const chosen = (refreshIndex: number): number[] => [(seed + refreshIndex) % m];
      const use = algebra.subspace({
        projector: algebra.projectors.given({ kind: 'rows', indices: (_, refreshIndex) => chosen(refreshIndex) }),
        rule: algebra.rules.adamW(),
        combine: algebra.residual(algebra.rules.signSgd(), { scale: 0.5 }),
        refresh: { every },
        onRefresh: 'reset',
      });
      const found = await follow(one, composed(algebra, use, { weightDecay, lrScale: 2 }));
      const w = Float64Array.from(startValues(one)['a']!);
      let [first, second] = [new Float64Array(m * n), new Float64Array(m * n)];
      const expected = Array.from({ length: one.steps }, (_, step): Values => {
        const g = gradientValues(one, step)['a']!;
        const refreshIndex = Math.floor(step / every);
        if (step % every === 0) [first, second] = [new Float64Array(m * n), new Float64Array(m * n)];
        const t = (step % every) + 1;
        for (let i = 0; i < m * n; i++) {
          w[i]! *= 1 - RATE * weightDecay;
          if (chosen(refreshIndex).includes(Math.floor(i / n))) {
            first[i] = 0.9 * first[i]! + 0.1 * g[i]!;
            second[i] = 0.999 * second[i]! + 0.001 * g[i]! ** 2;
            const root = Math.sqrt(second[i]! / (1 - 0.999 ** t)) + 1e-8;
            w[i]! -= 2 * RATE * (first[i]! / (1 - 0.9 ** t) / root);
          } else {
            w[i]! -= 2 * RATE * 0.5 * Math.sign(g[i]!);
          }
        }
        return { a: Float32Array.from(w) };
      });
      requireSamePath('rows', found, expected, 5e-6);
    },
  }),
  optimizerLaw({
    name: 'GaLore in plain numbers',
    formula: 'dense basis, no residual, keep: m, v and t stay in place while the basis moves; W ← W - ηα P N',
    why: 'With onRefresh keep nothing may be reset or carried over (Zhao et al., GaLore, arXiv 2403.03507, Algorithm 2).',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const shape = stream.shapes['a'] as [number, number];
      const one = withShapes(stream, { a: shape });
      const [m, n] = shape;
      const r = Math.max(1, n - 1);
      const at = (refreshIndex: number): Float64Array[] => orthonormalRows(r, n, randomKey(seed, refreshIndex));
      const projector = algebra.projectors.given({
        kind: 'right',
        basis: (_, refreshIndex) => Array.from({ length: n }, (_row, j) => at(refreshIndex).map(column => column[j]!)),
      });
      // A large ε keeps Adam from magnifying rounding errors of projected entries near 0.
      const use = algebra.subspace({
        projector,
        rule: algebra.rules.adamW({ epsilon: 1e-3 }),
        combine: algebra.drop(),
        refresh: { every },
        onRefresh: 'keep',
      });
      const found = await follow(one, composed(algebra, use, { lrScale: 0.25 }));
      const w = Float64Array.from(startValues(one)['a']!);
      const [first, second] = [new Float64Array(m * r), new Float64Array(m * r)];
      const expected = Array.from({ length: one.steps }, (_, step): Values => {
        const g = gradientValues(one, step)['a']!;
        const columns = at(Math.floor(step / every));
        for (let i = 0; i < m; i++) {
          columns.forEach((column, k) => {
            const low = column.reduce((sum, x, j) => sum + x * g[i * n + j]!, 0);
            const at = i * r + k;
            first[at] = 0.9 * first[at]! + 0.1 * low;
            second[at] = 0.999 * second[at]! + 0.001 * low ** 2;
            const d =
              first[at]! / (1 - 0.9 ** (step + 1)) / (Math.sqrt(second[at]! / (1 - 0.999 ** (step + 1))) + 1e-3);
            for (let j = 0; j < n; j++) w[i * n + j]! -= RATE * 0.25 * d * column[j]!;
          });
        }
        return { a: Float32Array.from(w) };
      });
      requireSamePath('moving basis', found, expected, 2e-5);
    },
  }),
];
