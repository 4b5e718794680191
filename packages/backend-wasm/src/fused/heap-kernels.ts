import {
  type BackendTraits,
  type Graph,
  type KernelInputs,
  type KernelSet,
  matrixView,
  perBackend,
  type Shape,
  type SplitAxis,
  type SplitTier,
  slotShape,
} from '@frugaljs/core';
import { engine, type Tensor } from '@tensorflow/tfjs-core';
import { type TensorHeap, tensorHeap } from '../heap.js';
import { gradientPasses, INFINITE_MAGNITUDE, RESULT_BYTES } from './gradient-passes.js';
import { refusalOf } from './graph-emitter.js';
import { denseKernelOf, numbersOf, splitKernelOf } from './kernel-cache.js';
import { KEPT } from './split-kernel.js';

/** Runs expression graphs in place on the heap of tfjs's wasm backend. */
export class HeapKernels implements KernelSet {
  readonly description = 'fused WebAssembly SIMD, in place';
  readonly traits: BackendTraits = {
    readsAtOnce: true,
    sharesMemory: false,
    refreshesOn: 'host',
    startsWithin: true,
  };

  constructor(private readonly heap: TensorHeap) {}

  refusal(graph: Graph): string | null {
    return refusalOf(graph);
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
    starts: Readonly<Record<string, number>> = {},
  ): Record<string, Tensor> {
    const { signature, program, scratch } = denseKernelOf(graph, inputs);
    const numbers = numbersOf(signature, scalars, inputs);
    const [rows, columns] = matrixView(shape);
    const results: Record<string, Tensor> = {};
    for (const name of signature.outputs) {
      const over = overwrite[name];
      results[name] =
        over === undefined ? this.allocate(slotShape(graph.outputs[name]!.extent, shape)) : (inputs[over] as Tensor);
    }
    // Addresses are taken last: an allocation may move the heap's buffer, never a tensor in it.
    const vectors = scratch.perRow * Math.ceil(rows / 4) + scratch.perColumn * Math.ceil(columns / 4);
    const args = [rows, columns, this.heap.scratch(16 * vectors)];
    for (const name of signature.inputs) {
      args.push(this.heap.offset(inputs[name] as Tensor) + 4 * (starts[name] ?? 0));
    }
    for (const name of signature.outputs) {
      args.push(this.heap.offset(results[name]!) + 4 * (starts[overwrite[name] ?? ''] ?? 0));
    }
    program.on(this.heap.memory).run(...args, ...numbers);
    for (const name of signature.outputs) {
      const result = results[name]!;
      // tfjs packs the weights of matrix products; a vector never is one.
      if (overwrite[name] !== undefined && result.rank > 1) this.heap.forgetPackedWeights(result);
    }
    return results;
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const kernel = splitKernelOf(axis, tiers);
    const [rows, columns] = matrixView(w.shape);
    const kept = KEPT[axis];
    const args = [rows, columns, this.heap.scratch(4 * (kept.entries + kept.rows * columns))];
    for (const { indices } of tiers) if (indices !== null) args.push(this.heap.offset(indices), indices.size);
    for (const [i, tier] of tiers.entries()) {
      const spec = kernel.tiers[i]!;
      for (const name of spec.tensors) {
        const tensor = name === 'w' ? w : name === 'g' ? g : (tier.compact[name] ?? tier.full[name])!;
        args.push(this.heap.offset(tensor));
      }
      args.push(...numbersOf(spec.signature, tier.scalars));
    }
    kernel.program.on(this.heap.memory).run(...args);
    if (w.rank > 1) this.heap.forgetPackedWeights(w);
  }

  isFinite(gradient: Tensor): boolean {
    const { memory } = this.heap;
    const result = this.heap.scratch(RESULT_BYTES);
    gradientPasses.on(memory).magnitude(result, this.heap.offset(gradient), gradient.size);
    return new Uint32Array(memory.buffer, result, 1)[0]! < INFINITE_MAGNITUDE;
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number = Number.POSITIVE_INFINITY): number {
    const { memory } = this.heap;
    const passes = gradientPasses.on(memory);
    const result = this.heap.scratch(RESULT_BYTES);
    let total = 0;
    for (const gradient of [...gradients].reverse()) {
      passes.sumSquares(result, this.heap.offset(gradient), gradient.size, clipValue);
      total += new Float64Array(memory.buffer, result, 1)[0]!;
    }
    return total;
  }

  isSole(tensor: Tensor): boolean {
    return this.heap.backend.refCount(tensor.dataId) === 1;
  }

  private allocate(shape: Shape): Tensor {
    const output = this.heap.backend.makeOutput([...shape], 'float32');
    return engine().makeTensorFromTensorInfo(output);
  }
}

/** The kernels for the current backend, which must be tfjs's wasm backend. */
export const heapKernels: () => HeapKernels = perBackend(backend => new HeapKernels(tensorHeap(backend)));
