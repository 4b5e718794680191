import {
  type BackendTraits,
  blockSizes,
  type FiniteCheck,
  type Graph,
  type KernelInputs,
  type KernelSet,
  perBackend,
  type Shape,
  type SplitAxis,
  type SplitTier,
  scalarNames,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type DeviceLimits, Dispatcher } from '../device/dispatcher.js';
import { type TensorDevice, tensorDevice } from '../device/tensor-device.js';
import { BufferCheck } from './finite-check.js';
import { GraphRuns, tensorInputs } from './graph-runs.js';
import { SplitRuns } from './split-runs.js';

/** Runs expression graphs in place on the buffers of tfjs's webgpu backend. */
export class DeviceKernels implements KernelSet {
  readonly description = 'fused WGSL, in place';
  readonly traits: BackendTraits = {
    readsAtOnce: false,
    sharesMemory: false,
    refreshesOn: 'device',
    startsWithin: false,
  };
  private readonly dispatcher: Dispatcher;
  private readonly runs: GraphRuns;
  private readonly splits: SplitRuns;

  /** @param limits Instead of those of the device, for tests. */
  constructor(
    private readonly device: TensorDevice,
    limits: Partial<DeviceLimits> = {},
  ) {
    this.dispatcher = new Dispatcher(device, limits);
    this.runs = new GraphRuns(this.dispatcher);
    this.splits = new SplitRuns(this.dispatcher);
  }

  refusal(graph: Graph, lists = 0): string | null {
    const { limits, mostFields } = this.dispatcher;
    const inputs = tensorInputs(graph, new Set());
    const fresh = Object.keys(graph.outputs).filter(name => !inputs.includes(name));
    // What has no lists may have scratch memory.
    const buffers = inputs.length + fresh.length + Math.max(1, lists);
    if (buffers > limits.buffers) return `${buffers} buffers, of which this device binds ${limits.buffers}`;
    const numbers = scalarNames(graph).length + graph.nodes.length;
    if (numbers > mostFields) return `an expression of ${graph.nodes.length} operations`;
    const sizes = blockSizes(graph);
    return sizes.length > 1 ? `blocks of ${sizes.join(' and of ')} columns in one pass` : null;
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    return this.runs.run(graph, inputs, scalars, shape, overwrite);
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    this.splits.run(axis, w, g, tiers);
  }

  isSole(tensor: Tensor): boolean {
    return this.device.isSole(tensor);
  }

  finiteCheck(): FiniteCheck {
    return new BufferCheck(this.dispatcher);
  }

  finish(): void {
    this.device.submit();
  }
}

/** The kernels for the current backend, which must be tfjs's webgpu backend. */
export const deviceKernels: () => DeviceKernels = perBackend(backend => new DeviceKernels(tensorDevice(backend)));
