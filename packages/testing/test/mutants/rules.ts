import {
  expressionRule,
  type Operand,
  type Rule,
  type SlotSpec,
  type StateFreeRule,
  select,
  tensorRule,
} from '@frugaljs/core';
import { sgd, sinkGd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { checkRule, type RuleClaims } from '@frugaljs/testing';
import { keep, mul, square, type Tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { ADAM_CLAIMS, type Adam, LION_CLAIMS } from '../../../state-full/test/claims.js';
import type { Mutant } from './mutant.js';

function broken<Options>(
  fault: string,
  law: string,
  factory: (options: Options) => Rule,
  claims: RuleClaims<Options> = {},
): Mutant {
  return { fault, law, check: () => checkRule(factory, { ...claims, bail: true }) };
}

/** Adam from its parts, to be put together wrongly. */
function adam(
  { beta1, beta2, epsilon }: Adam,
  parts: { readonly square?: boolean; readonly correction?: (beta: number, t: number) => number },
): Rule {
  const { square: squared = true, correction = (beta, t) => 1 - beta ** t } = parts;
  return expressionRule<'m' | 'v', 'c1' | 'c2'>({
    kind: 'adam',
    options: { beta1, beta2, epsilon },
    state: () => ({ m: { extent: 'element' }, v: { extent: 'element', degree: 2 } }),
    scalars: t => ({ c1: correction(beta1, t), c2: correction(beta2, t) }),
    step: ({ g, m, v, c1, c2 }) => {
      const nextM = m.mul(beta1).add(g.mul(1 - beta1));
      const nextV = v.mul(beta2).add((squared ? g.square() : g.abs()).mul(1 - beta2));
      // 0 / 0 is 0 here, as it is in the right one.
      return { direction: nextM.div(c1).divNoNan(nextV.div(c2).sqrt().add(epsilon)), m: nextM, v: nextV };
    },
  });
}

const leaked: Tensor[] = [];
let count = 0;

export const RULE_MUTANTS: readonly Mutant[] = [
  broken(
    'bias correction missing',
    'first step',
    ({ beta1, beta2, epsilon, epsilonPlacement }: Adam) =>
      adamW({ beta1, beta2, epsilon, epsilonPlacement, biasCorrection: false }),
    ADAM_CLAIMS,
  ),
  broken(
    'epsilon misplaced',
    'first step',
    (options: Adam) => adamW({ ...options, epsilonPlacement: 'beforeCorrection' }),
    ADAM_CLAIMS,
  ),
  broken('second moment of |g| instead of g²', 'first step', (options: Adam) => adam(options, { square: false }), {
    ...ADAM_CLAIMS,
  }),
  broken(
    'steps counted from 2',
    'first step',
    (options: Adam) => adam(options, { correction: (beta, t) => 1 - beta ** (t + 1) }),
    ADAM_CLAIMS,
  ),
  broken(
    'bias corrected in the first step only',
    'the recursion',
    (options: Adam) => adam(options, { correction: (beta, t) => (t === 1 ? 1 - beta : 1) }),
    {
      ...ADAM_CLAIMS,
      options: ADAM_CLAIMS.options!.map(options => ({ ...options, epsilonPlacement: 'afterCorrection' as const })),
      bound: undefined as never,
    },
  ),
  broken(
    'Lion: momentum updated before the direction',
    'the recursion',
    ({ beta1, beta2 }: { beta1: number; beta2: number }) =>
      expressionRule<'m'>({
        kind: 'lion',
        options: { beta1, beta2 },
        state: () => ({ m: { extent: 'element' } }),
        step: ({ g, m }) => {
          const next = m.mul(beta2).add(g.mul(1 - beta2));
          return {
            direction: next
              .mul(beta1)
              .add(g.mul(1 - beta1))
              .sign(),
            m: next,
          };
        },
      }),
    { ...LION_CLAIMS, firstStep: undefined as never },
  ),
  broken('sign of 0 is 1', 'zero stays zero', () => ofGradient(g => g.sign().add(g.equal(0)))),
  broken('NaN taken for 0', 'NaN is not hidden', () =>
    ofGradient(g => select(g.greater(0), 1, select(g.less(0), -1, 0))),
  ),
  broken('steps to one side only', 'odd', () => ofGradient(g => g.maximum(0))),
  broken('floor under the second moment', 'untouched state does not drift', () =>
    expressionRule<'v'>({
      kind: 'floored',
      options: {},
      state: () => ({ v: { extent: 'element' } }),
      step: ({ g, v }) => {
        const next = v.mul(0.9).add(g.square().mul(0.1)).maximum(1e-8);
        return { direction: g.div(next.sqrt()), v: next };
      },
    }),
  ),
  broken('momentum of one entry shared with its row', 'untouched state does not drift', () =>
    expressionRule<'m'>({
      kind: 'smeared',
      options: {},
      state: () => ({ m: { extent: 'element' } }),
      step: ({ g, m }) => {
        const next = m.mul(0.9).add(g.mul(0.1)).add(g.mean('row').mul(0.01));
        return { direction: next, m: next };
      },
    }),
  ),
  broken('factored second moment divided by the sum of R, not its mean', 'exact for rank one', () => factored('sum'), {
    rankOneExact: true,
  }),
  broken(
    'rows normalized to 1, not √n',
    'norm of the direction',
    () => ofGradient(g => g.divNoNan(g.square().sum().sqrt())),
    {
      norm: { of: shape => Math.sqrt(shape.reduce((a, b) => a * b, 1)), exact: true },
      parameters: 'matrix',
    },
  ),
  broken('SGD at half the step', 'descent', () => ofGradient(g => g.mul(0.5)), { descent: 'gradient' }),
  broken('signSGD of a shifted gradient', 'descent', () => ofGradient(g => g.sub(g.abs().max().mul(0.5)).sign()), {
    descent: 'sign',
    odd: false,
    permutations: 'none',
    mixesEntries: true,
  }),
  broken('state hidden in a closure', 'deterministic', () =>
    tensorRule({
      kind: 'hidden',
      options: {},
      state: () => ({}),
      step: ({ g }) => ({ direction: mul(g, 1 + 0.001 * count++) }),
    }),
  ),
  broken('a slot that is not returned', 'state as declared', () =>
    tensorRule<'m'>({
      kind: 'forgetful',
      options: {},
      state: () => ({ m: { extent: 'element' } }),
      step: ({ g }) => ({ direction: mul(g, 1) }) as never,
    }),
  ),
  broken(
    'a slot that changes its extent',
    'state as declared',
    () =>
      tensorRule<'v'>({
        kind: 'grown',
        options: {},
        state: () => ({ v: { extent: 'tensor' } }),
        step: ({ g }) => ({ direction: mul(g, 1), v: square(g) }),
      }),
    { parameters: 'matrix' },
  ),
  broken(
    'an option that the rule does not describe itself by',
    'deterministic',
    ({ momentum }: { readonly momentum?: number }) =>
      accumulating('forgotten', {}, (g, m) => m.mul(momentum ?? 0.9).add(g)),
    { options: fc.record({ momentum: fc.constantFrom(0.5, 0.9) }) },
  ),
  broken('momentum that is never updated', 'state is of use', () =>
    expressionRule<'m'>({
      kind: 'stuck',
      options: {},
      state: () => ({ m: { extent: 'element' } }),
      step: ({ g, m }) => ({ direction: m.mul(0.9).add(g), m }),
    }),
  ),
  broken('second moment kept and not used', 'state is of use', () =>
    accumulating('unused', { direction: g => g.sign() }, (g, m) => m.mul(0.9).add(g.square())),
  ),
  broken('squares declared as momentum', 'degree of the state', () =>
    accumulating('linear', { direction: (g, v) => g.divNoNan(v.sqrt()) }, (g, v) => v.mul(0.9).add(g.square())),
  ),
  broken('momentum declared as squares', 'degree of the state', () =>
    accumulating('quadratic', { degree: 2 }, (g, m) => m.mul(0.9).add(g)),
  ),
  broken('direction with the sign of the step', 'first step goes downhill', () =>
    accumulating('uphill', { direction: (_g, m) => m.neg() }, (g, m) => m.mul(0.9).add(g)),
  ),
  broken('the gradient itself returned', 'inputs untouched', () =>
    tensorRule({ kind: 'through', options: {}, state: () => ({}), step: ({ g }) => ({ direction: g }) }),
  ),
  broken('gradient changed in place', 'inputs untouched', () =>
    tensorRule({
      kind: 'greedy',
      options: {},
      state: () => ({}),
      step: ({ g }) => {
        const direction = mul(g, 1);
        g.dataSync()[0] = 7;
        return { direction };
      },
    }),
  ),
  broken('a tensor kept at every step', 'state as declared', () =>
    tensorRule({
      kind: 'leaky',
      options: {},
      state: () => ({}),
      step: ({ g }) => {
        leaked.push(keep(tidy(() => square(g))));
        return { direction: mul(g, 1) };
      },
    }),
  ),
  broken('a bound that the rule does not keep', 'step bound', () => sgd() as Rule, { bound: () => 1 }),
  broken(
    'one round of normalization too few',
    'scale invariance',
    () => ofGradient(g => g.div(g.abs().max().add(1e-3))),
    {
      scaleInvariant: () => true,
    },
  ),
  broken('values between the signs', 'only these values', () => ofGradient(g => g.divNoNan(g.abs().add(1e-8))), {
    values: [-1, 0, 1],
  }),
  broken(
    'heads of another order',
    'permutation equivariance',
    () => ofGradient(g => g.mul(g.mean('row').abs().max().add(1)).mul(1)),
    { permutations: 'entries' },
  ),
  broken('spectral norm of a rule that only normalizes', 'spectral norm of the direction', () => sinkGd(), {
    parameters: 'matrix',
    spectralNorm: () => 1,
  }),
];

function ofGradient(
  direction: (g: Parameters<StateFreeRule['step']>[0]['g']) => ReturnType<StateFreeRule['step']>['direction'],
): Rule {
  return expressionRule({
    kind: 'mutant',
    options: {},
    state: () => ({}),
    step: ({ g }) => ({ direction: direction(g) }),
  });
}

type Value = Parameters<StateFreeRule['step']>[0]['g'];

/** A rule with one slot; its direction is the next value of the slot unless it is given. */
function accumulating(
  kind: string,
  {
    direction = (_g, next) => next,
    degree = 1,
  }: { readonly direction?: (g: Value, next: Value) => Operand; readonly degree?: 1 | 2 },
  next: (g: Value, slot: Value) => Value,
): Rule {
  return expressionRule<'s'>({
    kind,
    options: {},
    state: () => ({ s: { extent: 'element', degree } }),
    step: ({ g, s }) => {
      const value = next(g, s);
      return { direction: direction(g, value), s: value };
    },
  });
}

/** A factored Adafactor without clipping. */
function factored(total: 'sum' | 'mean'): Rule {
  return expressionRule<string>({
    kind: 'factored',
    options: {},
    state: (shape): Record<string, SlotSpec> =>
      shape.length < 2 ? { v: { extent: 'element' } } : { r: { extent: 'row' }, c: { extent: 'column' } },
    step: (x, shape) => {
      const squares = x.g.square().add(1e-30);
      if (shape.length < 2) {
        const v = x['v']!.mul(0.9).add(squares.mul(0.1));
        return { direction: x.g.div(v.sqrt()), v } as Record<'direction', Operand>;
      }
      const r = x['r']!.mul(0.9).add(squares.mean('row').mul(0.1));
      const c = x['c']!.mul(0.9).add(squares.mean('column').mul(0.1));
      return { direction: x.g.div(r.div(r[total]()).sqrt().mul(c.sqrt())), r, c } as Record<'direction', Operand>;
    },
  });
}
