import { type Graph, hostValues, matrixView, type SplitAxis, type SplitTier } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { TensorDevice } from '../device/tensor-device.js';
import type { Field } from '../wgsl/shader.js';
import type { CutDispatches } from './cut-dispatches.js';
import { requireBindable } from './device-limits.js';
import { ListMarks } from './list-marks.js';
import { THREADS } from './passes.js';
import { planSplit, type SplitPlan } from './split-plan.js';
import { TILE } from './split-shader.js';

/** Updates split parameters, with kernels that are planned once per split. */
export class SplitRuns {
  private readonly marks: ListMarks;
  private readonly plans = new WeakMap<Graph, SplitPlan>();

  constructor(
    private readonly device: TensorDevice,
    private readonly dispatches: CutDispatches,
  ) {
    this.marks = new ListMarks(dispatches);
  }

  run(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const plan = this.planFor(axis, w, g, tiers);
    const [rows, columns] = matrixView(w.shape);
    const buffers = plan.tensorsOf(w, g, tiers).map(tensor => this.device.buffer(tensor));
    const lists = tiers.slice(0, -1).map(({ indices }) => indices!);
    const extent = { row: rows, column: columns, element: w.size }[axis];
    const marks = this.marks.of(w, lists, extent);
    const hosts = tiers.map(({ graph, scalars }) => hostValues(graph, scalars));
    const numbers: Record<string, number> = { rows, columns, size: w.size, base: 0 };
    lists.forEach((list, i) => {
      numbers[`count ${i}`] = list.size;
    });
    const numberFor = ({ source }: Field): number =>
      source.from === 'node' ? hosts[source.tier]![source.id]! : numbers[(source as { name: string }).name]!;
    for (const { shader, lists: bindings, slots, over, width } of plan.shaders) {
      const bound = bindings.map(({ tier, as }) => (as === 'marks' ? marks[tier]! : this.device.buffer(lists[tier]!)));
      bound.push(...slots.map(slot => buffers[slot]!));
      requireBindable(this.dispatches.limits, bound, w.shape);
      const count = over === 'all' ? extent : lists[over]!.size;
      numbers['columns'] = columns / width;
      numbers['size'] = w.size / width;
      const across = { row: columns / width, column: over === 'all' ? columns / width : count, element: count / width };
      const down = { row: count, column: rows, element: 1 }[axis];
      const [x, y] = axis === 'element' ? [THREADS, 1] : TILE;
      this.dispatches.grid(shader, bound, [Math.ceil(across[axis] / x), Math.ceil(down / y)], numbers, numberFor);
    }
    for (const tensor of plan.writtenOf(w, tiers)) this.device.wasWritten(tensor);
  }

  private planFor(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): SplitPlan {
    const last = tiers[tiers.length - 1]!;
    let plan = this.plans.get(last.graph);
    if (plan === undefined) {
      plan = planSplit(axis, w, g, tiers, this.dispatches.limits);
      this.plans.set(last.graph, plan);
    }
    return plan;
  }
}
