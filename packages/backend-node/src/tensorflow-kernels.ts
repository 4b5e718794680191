import {
  type BackendTraits,
  type Graph,
  type KernelInputs,
  type KernelSet,
  perBackend,
  type Shape,
  type SplitTier,
  slotShape,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { Execution } from './execution.js';
import { GradientPasses } from './gradient-passes.js';
import { type NodeBackend, nodeBackend } from './node-backend.js';
import type { Operand } from './node-operations.js';
import { Splits } from './split.js';
import { type Plan, planSteps } from './steps.js';
import { TensorFlow } from './tensorflow.js';

/**
 * Runs expression graphs with TensorFlow's training operations, in place, and with as few other operations as there are
 * nodes left. On CPU and CUDA alike; nothing but the numbers of the gradient passes comes back to the host.
 */
export class TensorFlowKernels implements KernelSet {
  readonly description = 'TensorFlow training operations';
  readonly traits: BackendTraits = {
    readsAtOnce: true,
    sharesMemory: false,
    refreshesOn: 'host',
    startsWithin: false,
  };
  private readonly tensorflow: TensorFlow;
  private readonly splits: Splits;
  private readonly passes: GradientPasses;
  private readonly plans = new WeakMap<Graph, Plan>();

  constructor(private readonly backend: NodeBackend) {
    this.tensorflow = new TensorFlow(backend);
    this.passes = new GradientPasses(this.tensorflow.eager);
    const planOf = (graph: Graph): Plan => this.planOf(graph);
    this.splits = new Splits(this.tensorflow, planOf, (graph, inputs, scalars, shape) => {
      const plan = planOf(graph);
      const overwrite: Record<string, string> = {};
      for (const name of Object.keys(graph.outputs)) if (name in inputs) overwrite[name] = name;
      return new Execution(this.tensorflow, { plan, inputs, scalars, shape, overwrite }).run();
    });
  }

  refusal(graph: Graph): string | null {
    const { Max, Min } = this.tensorflow.reducesNaN;
    const loses = graph.nodes.some(
      node => node.op === 'reduce' && ((node.reduction === 'max' && !Max) || (node.reduction === 'min' && !Min)),
    );
    return loses ? 'the largest or smallest entry, which hides NaN in this build of TensorFlow' : null;
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    const { eager } = this.tensorflow;
    const operands: Record<string, Operand | number> = {};
    let isFilled = false;
    for (const [name, input] of Object.entries(inputs)) {
      isFilled ||= typeof input === 'number';
      operands[name] = typeof input === 'number' ? input : { cell: eager.stored(input), shape: input.shape };
    }
    const plan = isFilled ? planSteps(graph, false) : this.planOf(graph);
    const fresh = new Execution(this.tensorflow, { plan, inputs: operands, scalars, shape, overwrite }).run();
    return Object.fromEntries(
      Object.entries(graph.outputs).map(([name, { extent }]) => {
        const over = overwrite[name];
        if (over !== undefined) return [name, inputs[over] as Tensor];
        return [name, eager.tensor(fresh[name]!, slotShape(extent, shape))];
      }),
    );
  }

  runSplit(axis: 'row' | 'column' | 'element', w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    this.splits.update(axis, w, g, tiers);
  }

  isFinite(gradient: Tensor): boolean {
    return this.passes.isFinite(gradient);
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number | undefined): number {
    return this.passes.sumSquares(gradients, clipValue);
  }

  isSole(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1;
  }

  private planOf(graph: Graph): Plan {
    let plan = this.plans.get(graph);
    if (plan === undefined) {
      plan = planSteps(graph, true);
      this.plans.set(graph, plan);
    }
    return plan;
  }
}

/** The kernels for the current backend, which must be that of tfjs-node or tfjs-node-gpu. */
export const tensorFlowKernels: () => TensorFlowKernels = perBackend(
  backend => new TensorFlowKernels(nodeBackend(backend)),
);
