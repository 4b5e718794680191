import {
  type GradientJudge,
  type Graph,
  hostValues,
  type KernelInputs,
  type KernelSet,
  matrixView,
  type Shape,
  type SplitTier,
  scalarNames,
  slotShape,
} from '@frugaljs/core';
import { engine, type Tensor } from '@tensorflow/tfjs-core';
import { Dispatcher, type Window } from '../device/dispatcher.js';
import { type TensorDevice, tensorDevice } from '../device/tensor-device.js';
import { DeviceLimitError } from '../errors.js';
import type { Field, Shader } from '../wgsl/shader.js';
import { BufferJudge, floatBits } from './buffer-judge.js';
import { ListMarks } from './list-marks.js';
import { entriesOf, type Pass, THREADS } from './passes.js';
import { lanesOf, partsOf } from './reductions.js';
import { layoutScratch, planRun, type RunPlan, tensorInputs, WIDE } from './run-plan.js';
import { ScratchBuffer } from './scratch.js';
import { planSplit, type SplitPlan } from './split-plan.js';
import { TILE } from './split-shader.js';
import type { SplitAxis } from './split-tier.js';

const INFINITY_BITS = floatBits(Number.POSITIVE_INFINITY);

/** Limits of the device, or smaller ones. */
export interface DeviceLimits {
  /** Bytes of a tensor that a kernel can bind. */
  readonly bindingBytes: number;
  /** Workgroups along one dimension of a dispatch. */
  readonly groups: number;
  /** Buffers that a kernel can bind, the uniforms not counted. */
  readonly buffers: number;
  /** Threads skip branches they do not take; a software adapter computes all of them. */
  readonly branches: boolean;
}

/** Runs expression graphs in place on the buffers of tfjs's webgpu backend. */
export class DeviceKernels implements KernelSet {
  readonly description = 'fused WGSL, in place';
  private readonly dispatcher: Dispatcher;
  private readonly scratch: ScratchBuffer;
  private readonly marks: ListMarks;
  private readonly limits: DeviceLimits;
  private readonly runs = new WeakMap<Graph, Map<string, RunPlan>>();
  private readonly splits = new WeakMap<Graph, SplitPlan>();

  /** @param limits Instead of those of the device, for tests. */
  constructor(
    private readonly device: TensorDevice,
    limits: Partial<DeviceLimits> = {},
  ) {
    this.dispatcher = new Dispatcher(device);
    this.scratch = new ScratchBuffer(device.device, 'partial results of reductions', () => device.submit());
    this.marks = new ListMarks(this.dispatcher);
    const own = device.device.limits;
    this.limits = {
      bindingBytes: own.maxStorageBufferBindingSize,
      groups: own.maxComputeWorkgroupsPerDimension,
      buffers: own.maxStorageBuffersPerShaderStage,
      branches: !device.isSoftware,
      ...limits,
    };
  }

  refusal(graph: Graph): string | null {
    const inputs = tensorInputs(graph, new Set());
    const fresh = Object.keys(graph.outputs).filter(name => !inputs.includes(name));
    const buffers = inputs.length + fresh.length + 1;
    if (buffers > this.limits.buffers) return `${buffers} buffers, of which this device binds ${this.limits.buffers}`;
    const numbers = scalarNames(graph).length + graph.nodes.length;
    return numbers > this.dispatcher.mostFields ? `an expression of ${graph.nodes.length} operations` : null;
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    const { plan, tensors, results } = this.prepareRun(graph, inputs, shape, overwrite);
    const { offsets, length } = layoutScratch(plan.reductions, shape);
    const scratch = length === 0 ? null : this.scratch.atLeast(length);
    const buffers = tensors.map(tensor => this.device.buffer(tensor));
    const host = hostValues(graph, scalars);
    const [rows, columns] = matrixView(shape);
    const numbers: Record<string, number> = {
      rows,
      columns,
      size: rows * columns,
      lanes: lanesOf(rows),
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
      numbers['count'] = entriesOf(pass.extent, shape);
      if (plan.isFlat) this.dispatchFlat(pass, bound, numbers, numberFor, isWide ? WIDE : 1);
      else this.dispatchAlong(pass, bound, pass.groups(rows, columns), numbers, numberFor);
    }
    for (const name of plan.outputs) if (overwrite[name] !== undefined) this.device.wasWritten(results[name]!);
    return results;
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const last = tiers[tiers.length - 1]!;
    let plan = this.splits.get(last.graph);
    if (plan === undefined) {
      plan = planSplit(axis, w, g, tiers, this.limits);
      this.splits.set(last.graph, plan);
    }
    const [rows, columns] = matrixView(w.shape);
    const buffers = plan.tensorsOf(w, g, tiers).map(tensor => this.device.buffer(tensor));
    const lists = tiers.slice(0, -1).map(({ indices }) => indices!);
    const extent = { row: rows, column: columns, element: w.size }[axis];
    const marks = this.marks.of(w, lists, extent, this.limits.groups);
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
      this.requireBindable(bound, w.shape);
      const count = over === 'all' ? extent : lists[over]!.size;
      numbers['columns'] = columns / width;
      numbers['size'] = w.size / width;
      const across = { row: columns / width, column: over === 'all' ? columns / width : count, element: count / width };
      const down = { row: count, column: rows, element: 1 }[axis];
      const [x, y] = axis === 'element' ? [THREADS, 1] : TILE;
      this.dispatchTiles(shader, bound, [Math.ceil(across[axis] / x), Math.ceil(down / y)], numbers, numberFor);
    }
    for (const tensor of plan.writtenOf(w, tiers)) this.device.wasWritten(tensor);
  }

  isSole(tensor: Tensor): boolean {
    return this.device.isSole(tensor);
  }

  judge(): GradientJudge {
    return new BufferJudge(this.dispatcher);
  }

  finish(): void {
    this.device.submit();
  }

  private prepareRun(
    graph: Graph,
    inputs: KernelInputs,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): { plan: RunPlan; tensors: readonly Tensor[]; results: Record<string, Tensor> } {
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
    let variants = this.runs.get(graph);
    if (variants === undefined) {
      variants = new Map();
      this.runs.set(graph, variants);
    }
    const variant = `${filled} ${same}`;
    let plan = variants.get(variant);
    if (plan === undefined) {
      plan = planRun(graph, new Set(filled), same);
      variants.set(variant, plan);
    }
    return { plan, tensors, results };
  }

  /** A pass over entries of any number and position, cut where the device's limits ask for it. */
  private dispatchFlat(
    { shader, isShared }: Pass,
    buffers: readonly GPUBuffer[],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
    width: number,
  ): void {
    const count = numbers['count']!;
    const { bindingBytes } = this.limits;
    const alignment = this.device.device.limits.minStorageBufferOffsetAlignment;
    const stretch =
      4 * count <= bindingBytes ? count : Math.floor(bindingBytes / Math.max(alignment, 4 * THREADS)) * THREADS;
    for (let start = 0; start < count; start += stretch) {
      const length = Math.min(stretch, count - start);
      const windows =
        length === count
          ? []
          : isShared.map((shared): Window | undefined =>
              shared ? undefined : { offset: 4 * start, size: 4 * length },
            );
      numbers['count'] = length / width;
      this.cutAlongX(shader, buffers, [Math.ceil(length / width / THREADS), 1], numbers, numberFor, windows);
    }
  }

  private dispatchAlong(
    pass: Pass,
    buffers: readonly GPUBuffer[],
    groups: readonly [number, number],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
  ): void {
    this.requireBindable(buffers, [numbers['rows']!, numbers['columns']!]);
    this.cutAlongX(pass.shader, buffers, groups, numbers, numberFor, []);
  }

  /** A grid of workgroups, cut along both sides where it has more than the device allows. */
  private dispatchTiles(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    [across, down]: readonly [number, number],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
  ): void {
    for (let y = 0; y < down; y += this.limits.groups) {
      numbers['base y'] = y;
      const part = Math.min(this.limits.groups, down - y);
      this.cutAlongX(shader, buffers, [across, part], numbers, numberFor, []);
    }
  }

  private cutAlongX(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    [across, down]: readonly [number, number],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
    windows: readonly (Window | undefined)[],
  ): void {
    for (let base = 0; base < across; base += this.limits.groups) {
      numbers['base'] = base;
      const grid = [Math.min(this.limits.groups, across - base), down, 1] as const;
      this.dispatcher.dispatch(shader, buffers, numberFor, grid, windows);
    }
  }

  private requireBindable(buffers: readonly GPUBuffer[], shape: Shape): void {
    const largest = buffers.reduce((most, { size }) => Math.max(most, size), 0);
    if (largest <= this.limits.bindingBytes) return;
    throw new DeviceLimitError({
      parameter: `a parameter of shape [${shape}]`,
      found: `${largest} bytes`,
      expected: `at most ${this.limits.bindingBytes} bytes, which is what the device binds (maxStorageBufferBindingSize)`,
      advice: 'Cut the parameter in two, or train it by a rule without reductions and subspaces.',
    });
  }
}

const kernels = new WeakMap<object, DeviceKernels>();

/** The kernels for the current backend, which must be tfjs's webgpu backend. */
export function deviceKernels(): DeviceKernels {
  const { backend } = engine();
  let found = kernels.get(backend);
  if (found === undefined) {
    found = new DeviceKernels(tensorDevice(backend));
    kernels.set(backend, found);
  }
  return found;
}
