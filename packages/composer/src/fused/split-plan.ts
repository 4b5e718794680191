import { inlineGraph, type KernelSet, type Operand, type SplitAxis, type SplitTier, sameShape } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { union } from '../bound/bases.js';
import { BoundExpression, type BoundRule } from '../bound/rules.js';
import type { SlotState } from '../bound/slots.js';
import { BoundSubspace } from '../bound/subspace.js';
import {
  type Clipping,
  type DecayForm,
  isShared,
  type ParameterStep,
  StepGraph,
  type StepProgram,
  sharedTensors,
} from './step-graph.js';

/** A chain of coordinate splits, from the outside in, and the rule on what the last one leaves. */
interface Chain {
  readonly levels: readonly BoundSubspace[];
  /** The rule on the residual of the last level; null when that is dropped. */
  readonly last: BoundExpression | null;
}

/** A parameter whose entries are shared out among tiers, each updated by a graph of its own in one pass over all. */
export class SplitPlan {
  /** The state of all that takes a step; one may be at work in several tiers. */
  private readonly states: ReadonlySet<SlotState>;
  /** What a graph for the whole parameter writes over what it was. */
  private readonly inPlace: Readonly<Record<string, string>>;

  private constructor(
    private readonly axis: SplitAxis | null,
    private readonly tiers: readonly { readonly indices: Tensor | null; readonly program: StepProgram }[],
  ) {
    this.states = new Set(tiers.flatMap(({ program }) => program.states));
    this.inPlace = Object.fromEntries(Object.keys(tiers[0]!.program.graph.outputs).map(name => [name, name]));
  }

  /** The plan for a rule as it stands in this refresh, or the reason why there is none. */
  static of(bound: BoundRule, kernels: KernelSet, clipping: Clipping, form: DecayForm): SplitPlan | string {
    const chain = chainOf(bound);
    if (typeof chain === 'string') return chain;
    const splitting = chain.levels.filter(level => level.choice.membership === 'split');
    const axis = axisOf(splitting);
    if (axis === 'mixed') return 'nested splits along different axes';
    if (splitting.length > 1 && !areDisjoint(splitting)) return 'nested splits that overlap';
    const program = (member: BoundSubspace | null): StepProgram => {
      const step = new StepGraph(clipping.isGated);
      return step.finish(directionAt(step, chain, 0, member, step.clipped(clipping)), form);
    };
    if (isAtRest(chain, 0)) return 'at rest until the next refresh';
    const tiers = [...splitting, null].map(level => {
      return { indices: level?.choice.split?.indices ?? null, program: program(level) };
    });
    for (const { indices, program: tier } of tiers) {
      const lists = indices === null ? splitting.length : 1;
      const reason = kernels.refusal(tier.graph, lists) ?? refusalOf(tier, axis, chain);
      if (reason !== null) return reason;
    }
    return new SplitPlan(axis, tiers);
  }

  /** Makes the state that a step writes, which may fail for want of memory, before anything is written. */
  allocate(kernels: KernelSet): void {
    for (const state of this.states) state.writable(kernels);
  }

  run(kernels: KernelSet, w: Tensor, g: Tensor, step: ParameterStep): void {
    const shared = sharedTensors(step);
    if (this.axis === null) {
      const { program } = this.tiers[0]!;
      const { full, compact, scalars } = program.inputs(step, kernels);
      kernels.run(program.graph, { w, g, ...shared, ...full, ...compact }, scalars, w.shape, this.inPlace);
    } else {
      const tiers: SplitTier[] = [];
      for (const { indices, program } of this.tiers) {
        tiers.push({ indices, graph: program.graph, ...program.inputs(step, kernels), shared });
      }
      kernels.runSplit(this.axis, w, g, tiers);
    }
    for (const state of this.states) state.advance(step.gate);
  }

  describe(): string {
    return this.axis === null ? 'one pass' : `one pass, split by ${this.axis} in ${this.tiers.length}`;
  }
}

/** The direction for entries that belong to `member` (to none when null), from a level of the chain downwards. */
function directionAt(step: StepGraph, chain: Chain, depth: number, member: BoundSubspace | null, g: Operand): Operand {
  const level = chain.levels[depth];
  if (level === undefined) return chain.last === null ? 0 : step.rule(chain.last, g, 'full');
  if (isAtRest(chain, depth)) return 0;
  const { combine, choice } = level;
  // The subspace is the whole, and what is measured in it is measured here.
  const isComplete = choice.membership === 'complete';
  const isMember = level === member || isComplete;
  const lifted = isMember ? step.rule(choice.inner!, g, isComplete ? 'full' : 'compact') : 0;
  let measures: Record<string, Operand> = combine.measuresOfNothing;
  if (isComplete && combine.measures !== null) {
    measures = inlineGraph(step.tracer, combine.measures, { low: g, lowDirection: lifted });
  }
  const isTold = !isComplete || level.splitsResidual();
  const residual = isMember ? restOf(step, g, combine.share) : g;
  const residualDirection = isTold ? directionAt(step, chain, depth + 1, isMember ? null : member, residual) : 0;
  return step.combine(combine, { g, lifted, residual, residualDirection, ...measures });
}

/** Nothing is trained from a level of the chain downwards in this refresh, and no state moves on. */
function isAtRest(chain: Chain, depth: number): boolean {
  const level = chain.levels[depth];
  if (level === undefined) return chain.last === null;
  const { combine, choice } = level;
  if (choice.membership !== 'inactive' || !combine.onlyMixes) return false;
  return !combine.readsResidual || isAtRest(chain, depth + 1);
}

/** What the residual has of entries that the subspace covers. */
function restOf(step: StepGraph, g: Operand, share: number): Operand {
  return share === 1 ? 0 : step.tracer.operand(g, 'residual').mul(1 - share);
}

/** What the step of one tier needs that a split cannot give. */
function refusalOf(program: StepProgram, axis: SplitAxis | null, { levels }: Chain): string | null {
  const hasVectors = program.graph.nodes.some(
    node => node.extent !== 'element' && node.extent !== 'host' && !isShared(node),
  );
  if (axis === null) {
    const complete = levels.find(level => level.choice.membership === 'complete');
    const isFlattened = complete !== undefined && !sameShape(complete.choice.inner!.shape, complete.shape);
    return hasVectors && isFlattened ? 'a reduction over a flattened parameter' : null;
  }
  if (hasVectors) return 'a reduction inside a split';
  if (axis !== 'row' && program.hasSlots('full')) return `state on the residual of a split by ${axis}`;
  return null;
}

function chainOf(bound: BoundRule): Chain | string {
  const levels: BoundSubspace[] = [];
  let rule: BoundRule | null = bound;
  while (rule instanceof BoundSubspace) {
    // It is chosen by the step alone, which knows the residual.
    const isFitted = levels.length > 0 && rule.rule.projector.traits.basisFrom === 'gradient';
    if (isFitted) return 'a split of the residual that is fitted to it';
    if (rule.choice.membership === 'dense') return 'a dense projector';
    if (rule.combine.feedsBack) return 'feedback to the gradient';
    if (rule.choice.membership === 'split' && rule.combine.measures !== null) return 'a split that is measured';
    if (rule.choice.membership !== 'inactive') {
      const inner = rule.choice.inner;
      if (inner === null) return whyNoExpression(rule);
    }
    levels.push(rule);
    rule = rule.choice.membership === 'complete' && !rule.splitsResidual() ? null : rule.residual;
  }
  if (rule !== null && !(rule instanceof BoundExpression)) return 'a rule written in tensor operations';
  return { levels, last: rule };
}

/** What the rule inside a subspace is, where it is no expression. */
export function whyNoExpression({ choice }: BoundSubspace): string {
  const isSubspace = choice.inside?.rule instanceof BoundSubspace;
  return isSubspace ? 'a subspace inside a subspace' : 'a rule written in tensor operations';
}

function axisOf(levels: readonly BoundSubspace[]): SplitAxis | 'mixed' | null {
  const axes = new Set(levels.map(level => level.choice.split!.axis));
  if (axes.size > 1) return 'mixed';
  return axes.values().next().value ?? null;
}

/**
 * True when no coordinate is in two of these nested splits, from the outside in. Of one that is, the split further in
 * sees a residual of 0, and takes a step on that; a pass that gives each entry to one tier cannot do so.
 */
function areDisjoint(splits: readonly BoundSubspace[]): boolean {
  let taken: Int32Array = new Int32Array(0);
  for (const { choice, rule } of splits) {
    // Coordinates found on the device cannot be read everywhere.
    if (rule.projector.traits.basisFrom === 'gradient') return false;
    const own = choice.coordinatesOnHost();
    const all = union(taken, own);
    if (all.length < taken.length + own.length) return false;
    taken = all;
  }
  return true;
}
