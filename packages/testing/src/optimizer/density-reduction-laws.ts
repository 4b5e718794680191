import { type Law, optimizerLaw } from '../law.js';
import { type Algebra, COORDINATE, composed, DENSE, type LawfulOptimizer, NEVER, RATE } from './algebra.js';
import { only, reductionExamples } from './reduction-examples.js';
import { follow, gradientValues, requireSamePath, startValues, type Values } from './trajectory.js';

const coordinateNames = [...COORDINATE];
const allNames = [...COORDINATE, ...DENSE];

/** Reductions that follow from what is in the subspace, each under its own conditions. */
export const DENSITY_REDUCTION_LAWS: readonly Law<Algebra>[] = [
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
];

/** Some rows, at least one. */
function rowsOf(seed: number, m: number): number[] {
  const chosen = [...Array(m).keys()].filter(i => ((seed * 2654435761) >>> (i + 3)) % 2 === 1);
  // State keeps its shape, so every refresh has as many rows.
  const size = Math.max(1, Math.floor(m / 2));
  const all = [...chosen, ...[...Array(m).keys()].filter(i => !chosen.includes(i))];
  return all.slice(0, size).sort((a, b) => a - b);
}
