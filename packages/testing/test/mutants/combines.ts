import { drop, residual } from '@frugaljs/composer';
import { type Combine, select } from '@frugaljs/core';
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
