import { type Graph, hostValues, type KernelInputs, matrixView, type Shape, slotShape } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { TensorDevice } from '../device/tensor-device.js';
import type { Field } from '../wgsl/shader.js';
import { floatBits } from './buffer-check.js';
import { sharesOf } from './column-reductions.js';
import type { CutDispatches } from './cut-dispatches.js';
import { requireBindable } from './device-limits.js';
import { entriesOf } from './passes.js';
import { lanesOf } from './row-reductions.js';
import { layoutScratch, planRun, type RunPlan, WIDE } from './run-plan.js';
import { ScratchBuffer } from './scratch.js';
import { partsOf } from './tensor-reductions.js';

const INFINITY_BITS = floatBits(Number.POSITIVE_INFINITY);

/** A plan with the tensors of one run. */
interface Prepared {
  readonly plan: RunPlan;
  /** Inputs, then outputs. */
  readonly tensors: readonly Tensor[];
  readonly results: Record<string, Tensor>;
}

/** Runs graphs over whole tensors, with kernels that are planned once per graph. */
export class GraphRuns {
  private readonly scratch: ScratchBuffer;
  private readonly plans = new WeakMap<Graph, Map<string, RunPlan>>();

  constructor(
    private readonly device: TensorDevice,
    private readonly dispatches: CutDispatches,
  ) {
    this.scratch = new ScratchBuffer(device.device, 'partial results of reductions', () => device.submit());
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    const { plan, tensors, results } = this.prepare(graph, inputs, shape, overwrite);
    const { offsets, length } = layoutScratch(plan.reductions, shape);
    const scratch = length === 0 ? null : this.scratch.atLeast(length);
    const buffers = tensors.map(tensor => this.device.buffer(tensor));
    const host = hostValues(graph, scalars);
    const [rows, columns] = matrixView(shape);
    const numbers: Record<string, number> = {
      rows,
      columns,
      size: rows * columns,
      lanes: lanesOf(rows, columns),
      shares: sharesOf(rows, columns),
      parts: partsOf(rows, columns),
      infinity: INFINITY_BITS,
      count: 0,
      base: 0,
    };
    const numberFor = ({ source }: Field): number => {
      switch (source.from) {
        case 'dispatch':
          return numbers[source.name]!;
        case 'node':
          return host[source.id]!;
        case 'filled':
          return inputs[source.name] as number;
        case 'scratch':
          return offsets.get(source.id)!;
      }
    };
    const isWide = plan.wide !== null && (rows * columns) % WIDE === 0;
    for (const pass of isWide ? [plan.wide!] : plan.passes) {
      const bound = pass.slots.map(slot => (slot === -1 ? scratch! : buffers[slot]!));
      requireBindable(this.dispatches.limits, bound, shape);
      numbers['count'] = entriesOf(pass.extent, shape) / (isWide ? WIDE : 1);
      this.dispatches.alongX(pass.shader, bound, pass.groups(rows, columns), numbers, numberFor);
    }
    for (const name of plan.outputs) if (overwrite[name] !== undefined) this.device.wasWritten(results[name]!);
    return results;
  }

  private prepare(
    graph: Graph,
    inputs: KernelInputs,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Prepared {
    const filled: string[] = [];
    const tensors: Tensor[] = [];
    for (const node of graph.nodes) {
      if (node.op !== 'input') continue;
      const value = inputs[node.name]!;
      if (typeof value === 'number') filled.push(node.name);
      else tensors.push(value);
    }
    const results: Record<string, Tensor> = {};
    for (const [name, { extent }] of Object.entries(graph.outputs)) {
      const over = overwrite[name];
      const result = over === undefined ? this.device.allocate(slotShape(extent, shape)) : (inputs[over] as Tensor);
      results[name] = result;
      tensors.push(result);
    }
    const same = tensors.map(tensor => tensors.findIndex(other => other.dataId === tensor.dataId));
    return { plan: this.planFor(graph, filled, same), tensors, results };
  }

  private planFor(graph: Graph, filled: readonly string[], same: readonly number[]): RunPlan {
    let variants = this.plans.get(graph);
    if (variants === undefined) {
      variants = new Map();
      this.plans.set(graph, variants);
    }
    const variant = `${filled} ${same}`;
    let plan = variants.get(variant);
    if (plan === undefined) {
      plan = planRun(graph, new Set(filled), same);
      variants.set(variant, plan);
    }
    return plan;
  }
}
