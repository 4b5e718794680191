import { type ExpressionRule, expressionRule } from '@frugaljs/core';

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** AdamW as a user of the library would write it down: the graph of the built-in rule, but not its code. */
export function customRule(): ExpressionRule<'mean' | 'square'> {
  return expressionRule({
    kind: 'bench/customRule',
    options: {},
    state: () => ({ mean: { extent: 'element' }, square: { extent: 'element', degree: 2 } }),
    scalars: t => ({ rise: 1 / (1 - BETA1 ** t), spread: 1 / Math.sqrt(1 - BETA2 ** t) }),
    step: ({ g, mean, square, rise, spread }) => {
      const nextMean = mean.mul(BETA1).add(g.mul(1 - BETA1));
      const nextSquare = square.mul(BETA2).add(g.square().mul(1 - BETA2));
      const root = nextSquare.sqrt().mul(spread).add(EPSILON);
      return { direction: nextMean.mul(rise.div(root)), mean: nextMean, square: nextSquare };
    },
  });
}
