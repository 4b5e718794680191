import { interpret, type KernelSet, SharedVariableError } from '@frugaljs/core';
import { type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import { FusedUpdate } from '../fused/fused-update.js';
import { bind } from '../runtime/bind.js';
import type { BoundRule } from '../runtime/bound-rule.js';
import { gated, type PendingVerdict } from '../runtime/gate.js';
import { prepareGradient } from '../runtime/prepare-gradient.js';
import { type DecayForm, UPDATE_GRAPHS } from '../runtime/update-graphs.js';
import type { Assigned } from './assignment.js';
import type { Group } from './options.js';

/** Which optimizer trains a variable. */
const owners = new WeakMap<Variable, object>();

/** What is the same for all parameters in one update. */
export interface UpdateContext {
  /** Learning rate. */
  readonly rate: number;
  /** Updates made before this one. */
  readonly update: number;
  /** What gradients are multiplied by to clip their global norm: a number, or one on the device. */
  readonly factor: number | Tensor;
  /** What will have become of the update; null when it happens. */
  readonly verdict: PendingVerdict | null;
  /** What updates in place; null for the reference path. */
  readonly kernels: KernelSet | null;
}

/** One variable in training: the rule that is bound to it and the hyper-parameters of its group. */
export class TrainedParameter {
  readonly bound: BoundRule;

  private readonly fused: FusedUpdate;

  constructor(
    public assigned: Assigned,
    private readonly group: Group,
    private readonly clipValue: number | undefined,
  ) {
    this.bound = bind(group.use!, assigned.site);
    this.fused = new FusedUpdate(this.bound, clipValue, this.form());
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

  /** Takes one update. */
  step(variable: Variable, gradient: Tensor, { rate, update, factor, verdict, kernels }: UpdateContext): void {
    const { lrScale = 1, weightDecay = 0, decayInactive = true } = this.group;
    const numbers = { rate: rate * lrScale, keep: 1 - rate * weightDecay, factor, verdict };
    const context = verdict === null ? { update, parameter: variable } : { update, parameter: variable, verdict };
    if (kernels !== null && this.fused.step(kernels, variable, gradient, context, numbers)) return;
    tidy(() => {
      const direction = this.bound.step(prepareGradient(gradient, this.clipValue, factor), context);
      if (direction === null && (weightDecay === 0 || !decayInactive)) return;
      const graph = UPDATE_GRAPHS[direction === null ? 'only' : this.form()];
      const inputs: Record<string, Tensor> = direction === null ? { w: variable } : { w: variable, d: direction };
      const next = interpret(graph, inputs, { rate: numbers.rate, keep: numbers.keep }, variable.shape)['w']!;
      variable.assign(verdict === null ? next : gated(verdict.proceed, next, variable));
    });
  }

  /** What runs the rule. */
  describe(kernels: KernelSet | null): string {
    return kernels === null ? 'reference: tfjs operations' : this.fused.describe(kernels);
  }

  private form(): DecayForm {
    const { weightDecay = 0, decay = 'before' } = this.group;
    return weightDecay === 0 ? 'none' : decay;
  }
}
