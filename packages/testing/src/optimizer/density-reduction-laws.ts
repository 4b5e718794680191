import { type Law, optimizerLaw, require } from '../law.js';
import { show } from '../numerics/closeness.js';
import { type Algebra, COORDINATE, composed, DENSE, type LawfulOptimizer, NEVER, RATE } from './algebra.js';
import { only, reductionExamples } from './reduction-examples.js';
import { follow, gradientValues, requireSamePath, startValues, type Values, withShapes } from './trajectory.js';

const coordinateNames = [...COORDINATE];
const allNames = [...COORDINATE, ...DENSE];

/** Reductions that follow from what is in the subspace (algorithms D4), by number, under the conditions stated there. */
export const DENSITY_REDUCTION_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'I11: Algorithm 2 in plain numbers',
    formula: 'mⱼ ← βmⱼ + (1-β)gⱼ for j ∈ J, else 0; xⱼ ← xⱼ - α mⱼ for j ∈ J, else xⱼ - α gⱼ',
    why: 'A coordinate that comes back starts from zero momentum; one that stays keeps it (the corrected Algorithm 2).',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { one, m, n } = only({ ...stream, steps: 9 });
      const sets = Array.from({ length: 9 }, (_, epoch) => rowsOf(seed + 31 * epoch, m));
      const use = algebra.subspace({
        projector: algebra.projectors.given({ kind: 'rows', indices: (_, epoch) => sets[Math.min(epoch, 8)]! }),
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
    name: 'I1: density 1 is the state-full rule',
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
    name: 'I1b: a reset is a restart',
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
    name: 'I2: density 0 is the state-free rule',
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
    name: 'I3: sign on both sides is signSGD',
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
    name: 'I4: SGD on both sides is SGD',
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
  optimizerLaw({
    name: 'I10: blocks without a residual are BAdam',
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
    name: 'I14: every entry is stepped on exactly once',
    formula: 'supports of the state-full and the state-free step are disjoint and cover everything, in every epoch',
    why: 'Overlap doubles a step, a gap leaves weights untrained.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const ones = (value: number): Values =>
        Object.fromEntries(
          Object.entries(stream.shapes).map(([name, shape]) => [
            name,
            new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
          ]),
        );
      const sign = algebra.rules.signSgd();
      for (const name of coordinateNames) {
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
];

/** Some rows, at least one. */
function rowsOf(seed: number, m: number): number[] {
  const chosen = [...Array(m).keys()].filter(i => ((seed * 2654435761) >>> (i + 3)) % 2 === 1);
  // State keeps its shape, so every epoch has as many rows.
  const size = Math.max(1, Math.floor(m / 2));
  const all = [...chosen, ...[...Array(m).keys()].filter(i => !chosen.includes(i))];
  return all.slice(0, size).sort((a, b) => a - b);
}
