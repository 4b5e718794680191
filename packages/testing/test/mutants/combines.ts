import { drop, feedback, residual, scaledGradient, scaledResidual } from '@frugaljs/composer';
import { type Combine, norm, select } from '@frugaljs/core';
import { signSgd } from '@frugaljs/state-free';
import { type CombineClaims, checkCombine } from '@frugaljs/testing';
import type { Mutant } from './mutant.js';

function broken(
  fault: string,
  law: string,
  apply: Combine['apply'],
  claims: CombineClaims<object> = {},
  right: Combine = residual(signSgd()),
): Mutant {
  return { fault, law, check: () => checkCombine(() => ({ ...right, apply }), { ...claims, bail: true }) };
}

/** A combine with some of its members replaced. */
function changed<S extends string>(
  fault: string,
  law: string,
  right: Combine<S, 'ratio'> | Combine<S>,
  change: Partial<Combine<S, 'ratio'>>,
  claims: CombineClaims<object> = {},
): Mutant {
  const made = (): Combine => ({ ...right, ...change }) as unknown as Combine;
  return { fault, law, check: () => checkCombine(made, { ...claims, bail: true }) };
}

const EMPTY = 'an empty subspace is the rule of the residual';
const scale = (): number => 1;

export const COMBINE_MUTANTS: readonly Mutant[] = [
  broken(
    'residual subtracted',
    EMPTY,
    ({ lifted, residualDirection }) => ({ direction: lifted.sub(residualDirection) }),
    {
      scale,
    },
  ),
  broken('residual dropped', EMPTY, ({ lifted }) => ({ direction: lifted }), { scale }),
  broken('scale on both parts', 'a complete subspace is the rule', ({ lifted, residualDirection }) => ({
    direction: lifted.add(residualDirection).mul(0.5),
  })),
  broken('sign of the whole gradient instead of the residual', 'a complete subspace is the rule', ({ lifted, g }) => ({
    direction: lifted.add(g.sign()),
  })),
  broken(
    'residual spread over everything',
    'parts do not mix',
    ({ lifted, residual: rest, residualDirection }) => ({
      direction: lifted.add(residualDirection).add(rest.max().mul(0.01)),
    }),
    { odd: false },
  ),
  broken(
    'the sign of a rounding residual',
    'rounding noise takes no step',
    ({ lifted, residualDirection }) => ({
      direction: lifted.add(residualDirection),
    }),
    {},
    residual(signSgd(), { tolerance: 0 }),
  ),
  broken(
    'a step where nothing is',
    'nothing in, nothing out',
    ({ lifted }) => ({
      direction: select(lifted.equal(0), 1e-3, lifted),
    }),
    {},
    drop(),
  ),
  broken('steps to one side only', 'odd', ({ lifted, residualDirection }) => ({
    direction: lifted.add(residualDirection.maximum(0)),
  })),
  changed('a ratio of norms that is 0 / 0 where there is nothing', 'measures as declared', scaledGradient(), {
    measure: ({ low, lowDirection }, { per }) => ({ ratio: norm(lowDirection, per).div(norm(low, per)) }),
  }),
  changed('a ratio of sums instead of norms', 'measures see no basis', scaledGradient(), {
    measure: ({ low, lowDirection }, { per }) => ({
      ratio: lowDirection.sum(per).div(low.square().sum(per).sqrt().add(1e-8)),
    }),
  }),
  changed(
    'the size of the direction instead of a ratio',
    'measures follow sizes',
    scaledGradient(),
    { measure: ({ lowDirection }, { per }) => ({ ratio: norm(lowDirection, per) }) },
    { measureDegree: 0, liftedScale: null },
  ),
  changed(
    'a scaled residual where the subspace has nothing',
    'an empty subspace is the rule of the residual',
    scaledResidual(),
    {
      apply: ({ lifted, residual: rest, ratio, previous }) => ({
        direction: lifted.add(rest.mul(select(ratio.equal(0), 1, ratio))),
        previous,
      }),
    },
    { scale: () => 0 },
  ),
  changed('feedback that forgets a tenth', 'what is fed back is not lost', feedback(), {
    apply: ({ lifted, residual: rest }) => ({ direction: lifted, error: rest.mul(0.9) }),
  }),
  changed('feedback of the whole gradient', 'what is fed back is not lost', feedback(), {
    apply: ({ lifted, g }) => ({ direction: lifted, error: g.sub(lifted.mul(0.5)) }),
  }),
  changed(
    'growth compared with what was cut off',
    'growth is limited',
    scaledResidual(),
    {
      apply: ({ lifted, residual: rest, ratio, previous }) => {
        const value = rest.mul(ratio);
        const [size, limit] = [norm(value), previous.mul(1.01)];
        const isLimited = previous.greaterEqual(0).mul(size.greater(limit));
        return { direction: lifted.add(value.mul(select(isLimited, limit.div(size), 1))), previous: size };
      },
    },
    { limit: () => ({ factor: 1.01, epsilon: 1e-8 }) },
  ),
  changed(
    'a limit on every step, also on the short ones',
    'growth is limited',
    scaledResidual(),
    {
      apply: ({ lifted, residual: rest, ratio, previous }) => {
        const [value, limit] = [rest.mul(ratio), previous.mul(1.01)];
        const isFirst = previous.less(0);
        const direction = value.mul(select(isFirst, 1, limit.divNoNan(norm(value))));
        return { direction: lifted.add(direction), previous: select(isFirst, norm(value), limit) };
      },
    },
    { limit: () => ({ factor: 1.01, epsilon: 1e-8 }) },
  ),
  {
    fault: 'a function in the options',
    law: 'described by its options',
    check: () => {
      const right = residual(signSgd());
      const options = { ...right.options, schedule: () => 1 } as never;
      return checkCombine(() => ({ ...right, options }), { bail: true });
    },
  },
  {
    fault: 'rule of the residual not in the options',
    law: 'described by its options',
    check: () => checkCombine(() => ({ ...residual(signSgd()), options: {} }), { bail: true }),
  },
];
