import { interpret, SharedVariableError } from '@frugaljs/core';
import { clipByValue, mul, type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import { bind } from '../runtime/bind.js';
import type { BoundRule } from '../runtime/bound-rule.js';
import type { Assigned } from './assignment.js';
import type { Group } from './options.js';
import { type DecayForm, UPDATE_GRAPHS } from './update-graphs.js';

/** Which optimizer trains a variable. */
const owners = new WeakMap<Variable, object>();

/** What one update does to every gradient before the rule sees it. */
export interface Preparation {
  readonly clipValue: number | undefined;
  readonly factor: number;
}

/** One variable in training: the rule that is bound to it and the hyper-parameters of its group. */
export class TrainedParameter {
  readonly bound: BoundRule;

  constructor(
    public assigned: Assigned,
    private readonly group: Group,
  ) {
    this.bound = bind(group.use!, assigned.site);
  }

  /** Claims a variable for an optimizer. */
  static claim(variable: Variable, optimizer: object): void {
    owners.set(variable, optimizer);
  }

  static release(variable: Variable, optimizer: object): void {
    if (owners.get(variable) === optimizer) owners.delete(variable);
  }

  /** Throws when another optimizer trains the variable. */
  static requireUnclaimed(variable: Variable, optimizer: object): void {
    const owner = owners.get(variable);
    if (owner === undefined || owner === optimizer) return;
    throw new SharedVariableError({
      parameter: `variable "${variable.name}"`,
      found: 'a variable that another optimizer already trains',
      expected: 'a variable that no other live optimizer trains',
      advice: 'Call dispose() on the other optimizer first, or put both rules into the groups of one compose().',
    });
  }

  /** Takes one update at learning rate `rate`; `update` counts the updates before it. */
  step(variable: Variable, gradient: Tensor, rate: number, update: number, preparation: Preparation): void {
    tidy(() => {
      const g = prepare(gradient, preparation);
      const direction = this.bound.step(g, { update, parameter: variable });
      const { lrScale = 1, weightDecay = 0, decay = 'before', decayInactive = true } = this.group;
      const form: DecayForm = direction === null ? 'only' : weightDecay === 0 ? 'none' : decay;
      if (direction === null && (weightDecay === 0 || !decayInactive)) return;
      const scalars = { rate: rate * lrScale, keep: 1 - rate * weightDecay };
      const inputs: Record<string, Tensor> = direction === null ? { w: variable } : { w: variable, d: direction };
      variable.assign(interpret(UPDATE_GRAPHS[form], inputs, scalars, variable.shape)['w']!);
    });
  }
}

function prepare(gradient: Tensor, { clipValue, factor }: Preparation): Tensor {
  const clipped = clipValue === undefined ? gradient : clipByValue(gradient, -clipValue, clipValue);
  return factor === 1 ? clipped : mul(clipped, factor);
}
