import { UnknownNameError } from '@frugaljs/core';
import type { Plan, PlanOptions } from '../plan.js';
import type { TrajectoryCase } from '../trajectory-file.js';
import { planFrugal } from './frugal.js';
import { planGalore } from './galore.js';

type Planner = (className: string, trajectory: TrajectoryCase, options: PlanOptions) => readonly Plan[];

const CODE_BASES: Readonly<Record<string, Planner>> = { FRUGAL: planFrugal, GaLore: planGalore };

/**
 * Expresses the official class of a case in compositions.
 *
 * @throws UnknownNameError for a code base or class that is not supported.
 */
export function planCase(trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  const [codeBase = '', className = ''] = trajectory.official.split(' ');
  if (Object.hasOwn(CODE_BASES, codeBase)) return CODE_BASES[codeBase]!(className, trajectory, options);
  throw new UnknownNameError({
    parameter: 'official',
    found: `unsupported code base in "${trajectory.official}"`,
    expected: `${Object.keys(CODE_BASES).join(' or ')}, then the name of a class`,
  });
}
