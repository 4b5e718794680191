import {
  type BackendTraits,
  blockSizes,
  type Graph,
  type KernelInputs,
  type KernelSet,
  perBackend,
  type Shape,
  type SplitAxis,
  type SplitTier,
  slotShape,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Eager, type NodeBackend, nodeBackend } from './eager.js';
import { Execution } from './execution.js';
import { Splits } from './split.js';
import { planOf, planSteps } from './steps.js';
import { type Operand, TensorFlow } from './tensorflow.js';

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

  constructor(private readonly backend: NodeBackend) {
    this.tensorflow = new TensorFlow(backend);
    this.splits = new Splits(this.tensorflow);
  }

  refusal(graph: Graph): string | null {
    // TensorFlow has no operation that repeats a value for a block; several would be what the interpreter runs.
    if (blockSizes(graph).length > 0) return 'values per block of columns';
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
    const plan = isFilled ? planSteps(graph, false) : planOf(graph);
    const fresh = new Execution(this.tensorflow, { plan, inputs: operands, scalars, shape, overwrite }).run();
    return Object.fromEntries(
      Object.entries(graph.outputs).map(([name, { extent }]) => {
        const over = overwrite[name];
        if (over !== undefined) return [name, inputs[over] as Tensor];
        return [name, eager.tensor(fresh[name]!, slotShape(extent, shape))];
      }),
    );
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    this.splits.update(axis, w, g, tiers);
  }

  isFinite(gradient: Tensor): boolean {
    const { eager } = this.tensorflow;
    const { id } = eager.stored(gradient);
    // NaN and Inf do not vanish from a sum. It may overflow, and only then is every entry asked.
    return Number.isFinite(eager.read(reduced(eager, 'Sum', id, gradient.rank))) || allFinite(eager, id);
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number | undefined): number {
    const { eager } = this.tensorflow;
    const ids = gradients.map(gradient => eager.stored(gradient).id);
    const plain = totalSquares(
      eager,
      ids.map(id => halfSquares(eager, id)),
    );
    if (Number.isFinite(plain) && clipValue === undefined) return plain;
    if (!Number.isFinite(plain) && !ids.every(id => allFinite(eager, id))) return Number.NaN;
    return clipValue === undefined ? scaledSquares(eager, ids) : clippedSquares(eager, ids, clipValue);
  }

  isSole(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1;
  }
}

/** The kernels for the current backend, which must be that of tfjs-node or tfjs-node-gpu. */
export const tensorFlowKernels: () => TensorFlowKernels = perBackend(
  backend => new TensorFlowKernels(nodeBackend(backend)),
);

function reduced(eager: Eager, name: 'Sum' | 'Max', id: number, rank: number): number {
  const axes = eager.int32(Array.from({ length: rank }, (_, axis) => axis));
  return eager.run(name, [id, axes]).id;
}

function halfSquares(eager: Eager, id: number): number {
  return eager.run('L2Loss', [id]).id;
}

/** Twice the sum of numbers on the device, which are deleted; one read. */
function totalSquares(eager: Eager, halves: readonly number[]): number {
  const sum = eager.run('AddN', halves, [eager.type('T'), eager.integer('N', halves.length)]);
  for (const id of halves) eager.delete(id);
  return 2 * eager.read(sum.id);
}

function allFinite(eager: Eager, id: number): boolean {
  return Number.isFinite(largestMagnitude(eager, id));
}

/** The largest magnitude; not finite if an entry is not. */
function largestMagnitude(eager: Eager, id: number): number {
  // 0 · x is NaN for NaN and ±Inf: no build's maximum would need to pass NaN on.
  const zeros = eager.run('Mul', [id, eager.scalar(0)]);
  const remainder = eager.read(halfSquares(eager, zeros.id));
  eager.delete(zeros.id);
  if (remainder !== 0) return Number.NaN;
  const magnitudes = eager.run('Abs', [id]);
  const largest = reduced(eager, 'Max', magnitudes.id, magnitudes.shape.length);
  eager.delete(magnitudes.id);
  return eager.read(largest);
}

/** For entries whose squares overflow float32: they are scaled before, and their sum after. */
function scaledSquares(eager: Eager, ids: readonly number[]): number {
  return ids.reduce((sum, id) => {
    const largest = largestMagnitude(eager, id);
    if (largest === 0) return sum;
    const scaled = eager.run('RealDiv', [id, eager.scalar(largest)]);
    const squares = totalSquares(eager, [halfSquares(eager, scaled.id)]);
    eager.delete(scaled.id);
    return sum + largest * largest * squares;
  }, 0);
}

function clippedSquares(eager: Eager, ids: readonly number[], clipValue: number): number {
  const halves = ids.map(id => {
    const clipped = eager.run('ClipByValue', [id, eager.scalar(-clipValue), eager.scalar(clipValue)]);
    const half = halfSquares(eager, clipped.id);
    eager.delete(clipped.id);
    return half;
  });
  return totalSquares(eager, halves);
}
