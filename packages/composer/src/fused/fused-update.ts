import type { KernelSet } from '@frugaljs/core';
import { mul, type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import type { BoundRule, StepContext } from '../runtime/bound-rule.js';
import { BoundSubspace } from '../runtime/bound-subspace.js';
import { prepareGradient } from '../runtime/prepare-gradient.js';
import type { DecayForm } from '../runtime/update-graphs.js';
import { DensePlan } from './dense-plan.js';
import { SplitPlan } from './split-plan.js';
import type { Clipping } from './step-graph.js';
import type { UpdateNumbers } from './update-numbers.js';

type Plan = SplitPlan | DensePlan;

/** Updates one parameter in place with the kernels of a backend, when its rule can be planned so. */
export class FusedUpdate {
  private plan: Plan | string = 'not planned yet';
  private plannedFor = '';
  /** Where the factor is found, once the norm of the gradients was clipped in some update. */
  private scale: Clipping['scale'] = 'none';

  constructor(
    private readonly bound: BoundRule,
    private readonly clipValue: number | undefined,
    private readonly form: DecayForm,
  ) {}

  /** Takes one step; false when there is no plan, and nothing has changed but the choice of subspaces. */
  step(
    kernels: KernelSet,
    variable: Variable,
    gradient: Tensor,
    context: StepContext,
    numbers: UpdateNumbers,
  ): boolean {
    return tidy(() => {
      this.bound.prepare(() => prepareGradient(gradient, this.clipValue, numbers.factor), context);
      if (typeof numbers.factor !== 'number') this.scale = 'device';
      else if (this.scale === 'device' || numbers.factor !== 1) this.scale = 'host';
      const plan = this.planFor(kernels, numbers.verdict !== null);
      if (typeof plan === 'string') return false;
      if (!kernels.isSole(variable)) variable.assign(mul(variable, 1));
      plan.run(kernels, variable, gradient, numbers);
      return true;
    });
  }

  /** What runs the parameter, or why nothing faster than the reference does. */
  describe(kernels: KernelSet): string {
    return typeof this.plan === 'string'
      ? `reference: ${this.plan}`
      : `${kernels.description}: ${this.plan.describe()}`;
  }

  /**
   * Subspaces change what there is to plan when they are chosen anew, be it at a refresh or by restored state, and when
   * coordinates become of one age because a step was taken back.
   */
  private planFor(kernels: KernelSet, isGated: boolean): Plan | string {
    const key = `${this.scale} ${isGated} ${stateOf(this.bound)}`;
    if (key !== this.plannedFor) {
      const clipping: Clipping = { clipValue: this.clipValue, scale: this.scale, isGated };
      const split = SplitPlan.of(this.bound, kernels, clipping, this.form);
      this.plan = split === 'a dense projector' ? DensePlan.of(this.bound, kernels, clipping, this.form) : split;
      this.plannedFor = key;
    }
    return this.plan;
  }
}

function stateOf(bound: BoundRule): string {
  let key = 'planned';
  for (let rule: BoundRule | null = bound; rule instanceof BoundSubspace; rule = rule.residual) {
    key += ` ${rule.choices}${rule.hasAges() ? ' by age' : ''}`;
  }
  return key;
}
