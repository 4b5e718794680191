import {
  type Combine,
  type CombineSite,
  type Graph,
  InvalidOptionError,
  inputNames,
  interpret,
  matrixView,
  type Projector,
  type Shape,
  type Site,
  type SlotExtent,
  traceCombine,
  traceMeasures,
} from '@frugaljs/core';
import { add, type Tensor } from '@tensorflow/tfjs-core';
import { joinPath, type SavedState, type StateReader } from '../saved-state.js';
import { averageOf, RATE, type StepContext } from './rules.js';
import { type PlannedTensor, SlotState } from './slots.js';

/** A combine at work on one parameter. The rule on the residual is not its own. */
export class BoundCombine {
  readonly graph: Graph;
  /** It reads the residual or a direction found on it. */
  readonly readsResidual: boolean;
  /** It reads the direction that was found in the subspace, in the full space. */
  readonly readsLifted: boolean;
  readonly hasState: boolean;
  /** Something is added to the gradient before it is projected. */
  readonly feedsBack: boolean;
  /** How much of the projected gradient the residual leaves out. */
  readonly share: number;
  readonly slots: SlotState<SlotExtent>;
  /** From `low` and `lowDirection` to the measures; null when there are none. */
  readonly measures: Graph | null;
  /** What it measures in a subspace that has nothing of the parameter. */
  readonly measuresOfNothing: Readonly<Record<string, number>>;
  /** Without a direction from either rule its result is zero. */
  readonly onlyMixes: boolean;

  constructor(
    readonly combine: Combine,
    private readonly site: CombineSite,
  ) {
    const { shape } = site;
    this.slots = new SlotState(combine.state(shape), shape);
    const { feedsBack } = combine;
    if (feedsBack !== undefined && this.slots.specs[feedsBack]?.extent !== 'element') {
      throw new InvalidOptionError({
        parameter: `${combine.kind}.feedsBack`,
        found: feedsBack,
        expected: 'the name of a slot with a number per element',
      });
    }
    this.graph = traceCombine(combine, shape, site);
    const reads = inputNames(this.graph);
    this.readsResidual = reads.includes('residual') || reads.includes('residualDirection');
    this.readsLifted = reads.includes('lifted');
    this.hasState = Object.keys(this.slots.specs).length > 0;
    this.feedsBack = feedsBack !== undefined;
    this.share = combine.share ?? 1;
    this.measures = traceMeasures(combine, site);
    this.measuresOfNothing = Object.fromEntries(Object.keys(this.measures?.outputs ?? {}).map(name => [name, 0]));
    this.onlyMixes = mixesDirections(combine, this.graph, site);
  }

  /**
   * The direction of the whole; null for zeros.
   *
   * @param inputs The inputs of a combine by name, 0 for a tensor of zeros. Slots are added.
   * @param isAtRest Neither the rule inside nor that on the residual has a direction.
   */
  step(inputs: Record<string, Tensor | number>, isAtRest: boolean, context: StepContext): Tensor | null {
    if (isAtRest && this.onlyMixes) return null;
    const { combine, slots } = this;
    if (combine.reads?.includes('parameter')) inputs['parameter'] = context.parameter!;
    slots.addTo(inputs);
    const scalars = { ...slots.scalars(combine), [RATE]: context.rate };
    const outputs = interpret(this.graph, inputs, scalars, this.site.shape);
    slots.commit(outputs, context.gate);
    return outputs['direction']!;
  }

  /** The gradient, with what was fed back to it. */
  fed(gradient: Tensor): Tensor {
    const { feedsBack } = this.combine;
    const error = feedsBack === undefined ? undefined : this.slots.current(feedsBack);
    return error === undefined ? gradient : add(gradient, error);
  }

  /** What the combine wants to know of the subspace, from the gradient and the direction in it. */
  measure(low: Tensor, lowDirection: Tensor | number): Readonly<Record<string, Tensor>> {
    const { measures } = this;
    return measures === null ? {} : interpret(measures, { low, lowDirection }, {}, low.shape);
  }

  average(parameter: Tensor): Tensor | null {
    return averageOf(this.combine, this.slots, parameter);
  }

  plan(): readonly PlannedTensor[] {
    return this.slots.plan('combine');
  }

  reset(): void {
    this.slots.reset();
  }

  save(path: string, into: SavedState): void {
    if (this.hasState) this.slots.save(joinPath(path, 'combine'), into);
  }

  restore(path: string, from: StateReader): void {
    if (this.hasState) this.slots.restore(joinPath(path, 'combine'), from);
  }
}

/** True for a combine whose direction, before it was wrapped, follows from the directions that it is given alone. */
function mixesDirections(combine: Combine, graph: Graph, site: CombineSite): boolean {
  const { wrapped } = combine;
  if (wrapped !== undefined) return mixesDirections(wrapped, traceCombine(wrapped, site.shape, site), site);
  const reads = inputNames(graph);
  const isStateless = Object.keys(combine.state(site.shape)).length === 0;
  return isStateless && !['g', 'residual', 'parameter'].some(name => reads.includes(name));
}

/** What a measure has one number of: the axis that a projector leaves as it is, undefined where that is the longer one. */
export function keptBy(projector: Projector, site: Site, reduced: Shape): CombineSite['per'] | undefined {
  const kept = projector.keeps?.(site);
  if (kept !== undefined) return kept ?? 'tensor';
  const [[rows, columns], [lowRows, lowColumns]] = [matrixView(site.shape), matrixView(reduced)];
  if (rows === lowRows && columns === lowColumns) return undefined;
  if (site.shape.length !== reduced.length) return 'tensor';
  if (rows === lowRows) return 'row';
  return columns === lowColumns ? 'column' : 'tensor';
}
