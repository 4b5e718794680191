import type { Combine, Projector, Rule } from '@frugaljs/core';
import fc from 'fast-check';
import {
  buildComposition,
  type Composition,
  compositions,
  partsOf,
  trainsSomething,
} from '../arbitraries/compositions.js';
import { type GradientStream, gradientStreams } from '../arbitraries/gradients.js';
import { type Law, optimizerLaw } from '../law.js';
import {
  type Algebra,
  COORDINATE,
  composed,
  DENSE,
  follow,
  type LawfulOptimizer,
  NEVER,
  only,
  type ReductionExample,
  reductionExamples,
  requireSamePath,
  withShapes,
} from './fixture.js';

const noCombines = ({ combines }: Algebra): string | null =>
  combines === undefined ? 'the algebra has no combines' : null;
const noWrappers = ({ wrappers }: Algebra): string | null =>
  wrappers === undefined ? 'the algebra has no wrappers' : null;

/** Compositions with measures, feedback and wrappers that come to a known optimizer, or to each other. */
export const MEASURED_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'a scaled residual of nothing is the rule',
    formula:
      'coordinate projector with ρ = 1 and T = ∞, or everything: subspace(P, rule, scaledResidual) = rule, up to rounding',
    why: 'Fira in a full space is Adam: what is added for the rest must be 0 there. (Bits may differ where a backend has an operation for the rule alone.)',
    notApplicable: noCombines,
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, weightDecay }) => {
      const rule = algebra.rules.adamW();
      const plain = await follow(stream, composed(algebra, rule, { weightDecay }));
      for (const projector of wholes(algebra)) {
        const use = algebra.subspace({ projector, rule, combine: algebra.combines!.scaledResidual(), refresh: NEVER });
        const found = await follow(stream, composed(algebra, use, { weightDecay }));
        requireSamePath(projector.kind, found, plain, 1e-5);
      }
    },
  }),
  optimizerLaw({
    name: 'feedback of nothing is the rule',
    formula:
      'coordinate projector with ρ = 1 and T = ∞, or everything: subspace(P, rule, feedback) = rule, bit for bit',
    why: 'Where nothing is missed nothing may be carried: a rest of rounding would be applied again.',
    notApplicable: noCombines,
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, weightDecay }) => {
      const rule = algebra.rules.lion();
      const plain = await follow(stream, composed(algebra, rule, { weightDecay }));
      for (const projector of wholes(algebra)) {
        const use = algebra.subspace({ projector, rule, combine: algebra.combines!.feedback(), refresh: NEVER });
        requireSamePath(projector.kind, await follow(stream, composed(algebra, use, { weightDecay })), plain);
      }
    },
  }),
  optimizerLaw({
    name: 'measured SGD is SGD',
    formula:
      'SGD inside, ρ > 0, any T: N = R, so φ = 1; scaledGradient = SGD for every basis, scaledResidual for orthonormal ones',
    why: 'A rule that keeps the size of a gradient must leave its size alone, whatever the norms are taken of.',
    notApplicable: noCombines,
    example: measuredExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const rule = algebra.rules.sgd();
      const expected = await follow(stream, composed(algebra, rule));
      const { scaledGradient, scaledResidual } = algebra.combines!;
      const combines: readonly (readonly [string, Combine])[] = [
        ['per channel', scaledGradient()],
        ['per tensor', scaledGradient({ per: 'tensor' })],
        ['on the residual', scaledResidual({ factor: Number.POSITIVE_INFINITY })],
      ];
      for (const projector of measuredIn(algebra, density)) {
        for (const [what, combine] of combines) {
          if (what === 'on the residual' && !projector.traits.orthonormal) continue;
          const use = algebra.subspace({ projector, rule, combine, refresh: { every } });
          requireSamePath(`${projector.kind}, ${what}`, await follow(stream, composed(algebra, use)), expected, 1e-5);
        }
      }
    },
  }),
  optimizerLaw({
    name: 'a scaled entry is the step of the rule',
    formula:
      'in a space of everything, m × 1, 1 × n and 1 × 1 with a factor per row, column and in all: AdamW with β₁ = 0',
    why: 'A factor for one entry is |N| / |G|, and without momentum N has the sign of G: a norm of another axis is another.',
    notApplicable: noCombines,
    example: measuredExamples,
    check: async (algebra: Algebra, { stream }) => {
      const { m, n } = only(stream);
      const rule = algebra.rules.adamW({ beta1: 0 });
      for (const shape of [
        [m, 1],
        [1, n],
        [1, 1],
      ]) {
        const one = withShapes(stream, { a: shape });
        const projector = algebra.projectors.identity();
        const combine = algebra.combines!.scaledGradient();
        const use = algebra.subspace({ projector, rule, combine, refresh: NEVER });
        const found = await follow(one, composed(algebra, use));
        requireSamePath(`[${shape}]`, found, await follow(one, composed(algebra, rule)), 1e-4);
      }
    },
  }),
  optimizerLaw({
    name: 'the whole gradient as a residual is a scaled gradient',
    formula:
      'scaledResidual with share 0, scale 0 and no limit = scaledGradient, for every projector and rule, bit for bit',
    why: 'Fira and APOLLO take the same measure: what they scale with it is all that tells them apart.',
    notApplicable: noCombines,
    example: measuredExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const { scaledGradient, scaledResidual } = algebra.combines!;
      const asResidual = { share: 0, scale: 0, factor: Number.POSITIVE_INFINITY };
      for (const projector of measuredIn(algebra, density)) {
        const made = (combine: Combine): LawfulOptimizer =>
          composed(algebra, algebra.subspace({ projector, rule: algebra.rules.adamW(), combine, refresh: { every } }));
        const found = await follow(stream, made(scaledResidual(asResidual)));
        requireSamePath(projector.kind, found, await follow(stream, made(scaledGradient())));
      }
    },
  }),
  optimizerLaw({
    name: 'neutral wrappers change nothing',
    formula:
      'limitGrowth(∞), scaled(1), ema with β = 0 and biasCorrected with both β = 0, around any composition: bit for bit',
    why: 'What is switched off must cost no bit, also around a split and inside of one.',
    notApplicable: noWrappers,
    effort: 2,
    example: algebra =>
      fc
        .record({ composition: compositions(partsOf(algebra)), stream: gradientStreams({ parameters: 2, steps: 6 }) })
        .filter(({ composition, stream }) =>
          trainsSomething(composition, Math.min(...Object.values(stream.shapes).flat())),
        ),
    check: async (algebra: Algebra, { composition, stream }: { composition: Composition; stream: GradientStream }) => {
      const { scaled, limitGrowth, ema, biasCorrected } = algebra.wrappers!;
      const use = buildComposition(algebra, composition);
      const expected = await follow(stream, composed(algebra, use));
      const neutral: Readonly<Record<string, Rule>> = {
        scaled: scaled(use, 1),
        limitGrowth: limitGrowth(use, { factor: Number.POSITIVE_INFINITY }),
        ema: ema(use, { beta: 0 }),
        biasCorrected: biasCorrected(use, { beta1: 0, beta2: 0 }),
      };
      for (const [name, wrapped] of Object.entries(neutral)) {
        requireSamePath(name, await follow(stream, composed(algebra, wrapped)), expected);
      }
    },
  }),
  optimizerLaw({
    name: 'a scaled rule is a scaled rate',
    formula: 'scaled(rule, c) = rule with lrScale c; the decay stays that of the rate',
    why: 'A factor on the direction must not reach the decay, nor the state.',
    notApplicable: noWrappers,
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, weightDecay }) => {
      const rule = algebra.rules.adamW();
      const expected = await follow(stream, composed(algebra, rule, { weightDecay, lrScale: 0.25 }));
      const found = await follow(stream, composed(algebra, algebra.wrappers!.scaled(rule, 0.25), { weightDecay }));
      requireSamePath('scaled by 0.25', found, expected, 1e-6);
    },
  }),
  optimizerLaw({
    name: 'an average of gradients is momentum',
    formula: 'ema(SGD, β) = biasCorrected(SGDM as an average, β₁ = β, β₂ = 0)',
    why: 'Two ways to say the same thing: the count of steps and the place of the correction must agree.',
    notApplicable: noWrappers,
    example: reductionExamples,
    check: async (algebra: Algebra, { stream }) => {
      const { ema, biasCorrected } = algebra.wrappers!;
      const momentum = algebra.rules.sgdm({ momentum: 0.75, convention: 'ema' });
      const expected = await follow(stream, composed(algebra, biasCorrected(momentum, { beta1: 0.75, beta2: 0 })));
      const found = await follow(stream, composed(algebra, ema(algebra.rules.sgd(), { beta: 0.75 })));
      requireSamePath('ema of SGD', found, expected, 1e-5);
    },
  }),
  optimizerLaw({
    name: 'a cautious gradient is the gradient',
    formula: 'cautious(SGD) = SGD and cautious(signSGD) = signSGD for gradients without zeros',
    why: 'Where every entry agrees none is left out, and there is nothing to make up for.',
    notApplicable: noWrappers,
    example: measuredExamples,
    check: async (algebra: Algebra, { stream }) => {
      for (const rule of [algebra.rules.sgd(), algebra.rules.signSgd()]) {
        const found = await follow(stream, composed(algebra, algebra.wrappers!.cautious(rule)));
        requireSamePath(rule.kind, found, await follow(stream, composed(algebra, rule)), 1e-6);
      }
    },
  }),
];

/** Examples whose gradients have no zeros, of which some subspace would see nothing where there is something. */
function measuredExamples(): fc.Arbitrary<ReductionExample> {
  return fc
    .tuple(reductionExamples(), fc.constantFrom(0.5, 0.75, 1))
    .map(([example, density]) => ({ ...example, density, stream: { ...example.stream, kind: 'normal' as const } }));
}

/** Subspaces of everything that leave exact zeros. */
function wholes({ projectors }: Algebra): Projector[] {
  return [...COORDINATE.map(name => projectors[name]({ density: 1 })), projectors.identity()];
}

/** Projectors that have something of every parameter in every refresh; also one that is not orthonormal. */
function measuredIn({ projectors }: Algebra, density: number): Projector[] {
  const names = [...COORDINATE, ...DENSE].filter(name => name !== 'blockwise');
  const sketch = projectors.sketch?.({ density });
  return [...names.map(name => projectors[name]({ density })), ...(sketch === undefined ? [] : [sketch])];
}
