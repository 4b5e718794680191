import { type Graph, type KernelSet, type Operand, type SplitAxis, type SplitTier, sameShape } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BoundExpression } from '../runtime/bound-expression.js';
import type { BoundRule } from '../runtime/bound-rule.js';
import { BoundSubspace } from '../runtime/bound-subspace.js';
import { FACTOR, PROCEED } from '../runtime/gate.js';
import type { DecayForm } from '../runtime/update-graphs.js';
import { areDisjoint } from './disjoint.js';
import { inlineCombine } from './inline-combine.js';
import { sharedTensors } from './shared-tensors.js';
import { type Clipping, StepGraph, type StepProgram } from './step-graph.js';
import type { UpdateNumbers } from './update-numbers.js';

/** A chain of coordinate splits, from the outside in, and the rule on what the last one leaves. */
interface Chain {
  readonly levels: readonly BoundSubspace[];
  /** The rule on the residual of the last level; null when that is dropped. */
  readonly last: BoundExpression | null;
}

/** A parameter whose entries are shared out among tiers, each updated by a graph of its own in one pass over all. */
export class SplitPlan {
  private constructor(
    private readonly axis: SplitAxis | null,
    private readonly tiers: readonly { readonly level: BoundSubspace | null; readonly program: StepProgram }[],
  ) {}

  /** The plan for a rule as it stands in this refresh, or the reason why there is none. */
  static of(bound: BoundRule, kernels: KernelSet, clipping: Clipping, form: DecayForm): SplitPlan | string {
    const chain = chainOf(bound);
    if (typeof chain === 'string') return chain;
    const splitting = chain.levels.filter(level => level.choice.membership() === 'split');
    const axis = axisOf(splitting);
    if (axis === 'mixed') return 'nested splits along different axes';
    if (splitting.length > 1 && !areDisjoint(splitting)) return 'nested splits that overlap';
    const program = (member: BoundSubspace | null): StepProgram => {
      const step = new StepGraph(clipping);
      return step.finish(directionAt(step, chain, 0, member, step.g), form);
    };
    if (axis === null && chain.last === null && chain.levels.every(level => level.choice.membership() === 'inactive')) {
      return 'at rest in this refresh';
    }
    const tiers = [...splitting, null].map(level => ({ level, program: program(level) }));
    for (const { level, program: tier } of tiers) {
      const lists = level === null ? splitting.length : 1;
      const reason = kernels.refusal(tier.graph, lists) ?? refusalOf(tier, axis, chain);
      if (reason !== null) return reason;
    }
    return new SplitPlan(axis, tiers);
  }

  run(kernels: KernelSet, w: Tensor, g: Tensor, numbers: UpdateNumbers): void {
    const shared = sharedTensors(numbers);
    const owned = (tensor: Tensor): boolean => kernels.isSole(tensor);
    if (this.axis === null) {
      const { program } = this.tiers[0]!;
      const slots = { ...program.tensors('full', owned), ...program.tensors('compact', owned) };
      const overwrite = Object.fromEntries(Object.keys(program.graph.outputs).map(name => [name, name]));
      kernels.run(program.graph, { w, g, ...shared, ...slots }, program.scalars(numbers), w.shape, overwrite);
    } else {
      const tiers = this.tiers.map(({ level, program }): SplitTier => {
        return {
          indices: level?.choice.coordinates() ?? null,
          graph: program.graph,
          compact: program.tensors('compact', owned),
          full: program.tensors('full', owned),
          scalars: program.scalars(numbers),
          shared,
        };
      });
      kernels.runSplit(this.axis, w, g, tiers);
    }
    const stepped = new Set(this.tiers.flatMap(({ program }) => program.rules()));
    for (const rule of stepped) rule.slots.advance(numbers.verdict);
  }

  describe(): string {
    return this.axis === null ? 'one pass' : `one pass, split by ${this.axis} in ${this.tiers.length}`;
  }
}

/** The direction for entries that belong to `member` (to none when null), from a level of the chain downwards. */
function directionAt(step: StepGraph, chain: Chain, depth: number, member: BoundSubspace | null, g: Operand): Operand {
  const level = chain.levels[depth];
  if (level === undefined) return chain.last === null ? 0 : step.direction(chain.last, g, 'full');
  const bindings = { g, lifted: 0, residual: 0, residualDirection: 0 };
  if (level.choice.membership() === 'complete') {
    const lifted = step.direction(level.choice.innerExpression()!, g, 'full');
    // Nothing is left, and the rule on the residual takes no step.
    return inlineCombine(step.tracer, level.combine.graph, { ...bindings, lifted });
  }
  const isMember = level === member;
  const lifted = isMember ? step.direction(level.choice.innerExpression()!, g, 'compact') : 0;
  const residual = isMember ? 0 : g;
  const residualDirection = directionAt(step, chain, depth + 1, isMember ? null : member, residual);
  return inlineCombine(step.tracer, level.combine.graph, { g, lifted, residual, residualDirection });
}

function isShared(node: Graph['nodes'][number]): boolean {
  return node.op === 'input' && (node.name === FACTOR || node.name === PROCEED);
}

/** What the step of one tier needs that a split cannot give. */
function refusalOf(program: StepProgram, axis: SplitAxis | null, { levels }: Chain): string | null {
  const hasVectors = program.graph.nodes.some(
    node => node.extent !== 'element' && node.extent !== 'host' && !isShared(node),
  );
  if (axis === null) {
    const complete = levels.find(level => level.choice.membership() === 'complete');
    const isFlattened = complete !== undefined && !sameShape(complete.choice.innerExpression()!.shape, complete.shape);
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
    if (rule.choice.membership() === 'dense') return 'a dense projector';
    if (rule.combine.hasState) return 'a combine with state';
    if (rule.choice.membership() !== 'inactive') {
      const inner = rule.choice.innerExpression();
      if (inner === null) return 'a subspace inside a subspace';
    }
    levels.push(rule);
    rule = rule.choice.membership() === 'complete' ? null : rule.residual;
  }
  if (rule !== null && !(rule instanceof BoundExpression)) return 'a rule written in tensor operations';
  return { levels, last: rule };
}

function axisOf(levels: readonly BoundSubspace[]): SplitAxis | 'mixed' | null {
  const axes = new Set(levels.map(level => level.choice.axis()));
  if (axes.size > 1) return 'mixed';
  return axes.values().next().value ?? null;
}
