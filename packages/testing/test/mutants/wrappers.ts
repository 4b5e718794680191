import { averaged, limitGrowth, scaled } from '@frugaljs/composer';
import { type ExpressionRule, norm, type Rule, type Wrapper, wrapRule } from '@frugaljs/core';
import { checkWrapper, type WrapperClaims } from '@frugaljs/testing';
import type { Mutant } from './mutant.js';

/** A wrapper whose step is wrong, put around rules in the right way. */
function stepping<S extends string = never>(
  fault: string,
  law: string,
  by: Partial<Wrapper<S, 'correction'>> & Pick<Wrapper<S, 'correction'>, 'step'>,
  claims: WrapperClaims<object> = {},
): Mutant {
  return made(fault, law, rule => wrapRule(rule, { kind: 'mutant', options: {}, ...by }), claims);
}

function made(fault: string, law: string, factory: (rule: Rule) => Rule, claims: WrapperClaims<object> = {}): Mutant {
  return { fault, law, check: () => checkWrapper(factory, { ...claims, bail: true }) };
}

/** A rule with some members of the right wrapper's result replaced, where it is an expression. */
function changing(
  fault: string,
  law: string,
  change: (rule: ExpressionRule, right: ExpressionRule) => Partial<ExpressionRule>,
): Mutant {
  return made(fault, law, rule => {
    const right = scaled(rule, 0.5);
    if (rule.type !== 'expression' || right.type !== 'expression') return right;
    return { ...right, ...change(rule, right) };
  });
}

const half = {
  kind: 'mutant',
  options: {},
  step: ({ direction }) => ({ direction: direction.mul(0.5) }),
} satisfies Wrapper<never, never>;

export const WRAPPER_MUTANTS: readonly Mutant[] = [
  changing('a slot that is declared and never returned', 'state as declared', (rule, right) => ({
    state: shape => ({ ...right.state(shape), more: { extent: rule.kind === 'gradient' ? 'row' : 'element' } }),
  })),
  changing('the rule not in the options', 'described by its options', () => ({ options: { factor: 0.5 } })),
  changing('a function in the options', 'described by its options', (_rule, { options }) => ({
    options: { ...options, schedule: () => 1 } as never,
  })),
  changing('the rule given another gradient', 'the state of the rule is kept', (_rule, right) => ({
    step: (x, shape) => right.step({ ...x, g: x.g.sign() }, shape),
  })),
  stepping('a step where nothing is', 'nothing in, nothing out', {
    step: ({ direction }) => ({ direction: direction.add(direction.equal(0).mul(1e-3)) }),
  }),
  stepping('a norm that is 0 / 0 for zeros', 'nothing in, nothing out', {
    step: ({ direction }) => ({ direction: direction.div(norm(direction)) }),
  }),
  stepping('a norm of squares that overflow', 'any finite direction', {
    step: ({ direction }) => {
      const squares = direction.square().sum('tensor');
      return { direction: direction.mul(squares).divNoNan(squares) };
    },
  }),
  stepping(
    'a factor of 1 that is nearly 1',
    'neutral element',
    { step: ({ direction }) => ({ direction: direction.mul(1 + 2 ** -20) }) },
    { neutral: () => true },
  ),
  stepping('steps to one side only', 'odd', { step: ({ direction }) => ({ direction: direction.maximum(0) }) }),
  stepping<'average'>(
    'an average without correction of bias',
    'the formula',
    {
      state: () => ({ average: { extent: 'element' } }),
      step: ({ direction, average }) => {
        const next = average.mul(0.5).add(direction.mul(0.5));
        return { direction: next, average: next };
      },
    },
    {
      formula: () => {
        let average: Float64Array = new Float64Array(0);
        return (direction, _g, t) => {
          average = Float64Array.from(direction, (x, i) => 0.5 * (average[i] ?? 0) + 0.5 * x);
          return average.map(x => x / (1 - 0.5 ** t));
        };
      },
    },
  ),
  stepping<'average'>('an average of the weights that starts from 0', 'weights at rest are their average', {
    reads: ['parameter'],
    state: () => ({ average: { extent: 'element' } }),
    step: ({ direction, parameter, average }) => ({
      direction,
      average: average.mul(0.5).add(parameter!.mul(0.5)),
    }),
    average: ({ average }) => average,
  }),
  stepping<'sum'>('an average that counts the weights of now twice', 'weights at rest are their average', {
    reads: ['parameter'],
    state: () => ({ sum: { extent: 'element' } }),
    step: ({ direction, sum }) => ({ direction, sum: sum.add(direction) }),
    average: ({ parameter, sum }) => parameter.sub(sum).mul(1.5),
  }),
  made('an average that a rule in tfjs operations loses', 'weights at rest are their average', rule => {
    const right = averaged(rule);
    if (right.type !== 'tensor') return right;
    const { average: _, ...rest } = right;
    return rest;
  }),
  made('a factor that the limiter forgets', 'growth is limited', rule => limitGrowth(rule, { factor: 2 }), {
    limit: () => ({ factor: 1.01, epsilon: 1e-8 }),
  }),
  made('a slot by a name that is taken when it is wrapped again', 'closed under nesting', rule => {
    if (rule.type !== 'expression') return wrapRule(rule, half);
    const named: ExpressionRule = {
      ...rule,
      kind: 'mutant',
      options: { rule: { kind: rule.kind, options: rule.options } },
      state: shape => ({ ...rule.state(shape), mutant: { extent: 'element' } }),
      step: (x, shape) => {
        const { direction, ...next } = rule.step(x, shape);
        const sum = x['mutant']!.mul(0.5).add(direction!);
        return { ...next, direction: sum, mutant: sum };
      },
    };
    return named;
  }),
  made('a subspace that is left as it is', 'around a subspace as around its rule', rule =>
    rule.type === 'subspace' ? rule : wrapRule(rule, half),
  ),
  made('a rule in tfjs operations that is left as it is', 'around tensor operations as around expressions', rule =>
    rule.type === 'tensor' ? rule : wrapRule(rule, half),
  ),
];
