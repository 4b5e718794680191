import {
  type BackendTraits,
  type Graph,
  hostValues,
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
import type { HeapFunction } from '../program.js';
import { isFinitePart, RESULT_BYTES, sumSquaresOfPart } from './gradient-passes.js';
import { denseKernelOf, splitKernelOf } from './kernel-cache.js';
import { addNumbers } from './kernel-signature.js';
import { scratchBytes } from './reduction-scratch.js';
import { scratchEntries } from './split-kernel.js';
import { refusalOf } from './stages.js';
import { tierTensors } from './tier.js';

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
    given: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
    starts: Readonly<Record<string, number>> = {},
  ): Record<string, Tensor> {
    const kernel = denseKernelOf(given, inputs);
    const { graph, signature, program } = kernel;
    const host = hostValues(graph, scalars);
    const [rows, columns] = matrixView(shape);
    const results: Record<string, Tensor> = {};
    for (const name of signature.outputs) {
      const over = overwrite[name];
      results[name] =
        over === undefined ? this.allocate(slotShape(graph.outputs[name]!.extent, shape)) : (inputs[over] as Tensor);
    }
    // Addresses are taken last: an allocation may move the heap's buffer, never a tensor in it.
    const scratch = this.heap.scratch(scratchBytes(graph, rows, columns));
    const args = [rows, columns, scratch];
    const address = (tensor: Tensor, input: string): number => this.heap.offset(tensor) + 4 * (starts[input] ?? 0);
    for (const name of signature.inputs) args.push(address(inputs[name] as Tensor, name));
    for (const name of signature.outputs) args.push(address(results[name]!, overwrite[name] ?? ''));
    addNumbers(args, kernel, host, inputs);
    const run: HeapFunction = program.on(this.heap.memory).run;
    run(...args);
    for (const name of signature.outputs) if (overwrite[name] !== undefined) this.wasWritten(results[name]!);
    return results;
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const kernel = splitKernelOf(axis, tiers);
    const [rows, columns] = matrixView(w.shape);
    const listed = tiers.slice(0, -1);
    const args = [rows, columns, this.heap.scratch(4 * scratchEntries(axis, columns))];
    for (const { indices } of listed) args.push(this.heap.offset(indices!), indices!.size);
    tiers.forEach((tier, i) => {
      const spec = kernel.tiers[i]!;
      for (const name of tierTensors(spec)) {
        const tensor = name === 'w' ? w : name === 'g' ? g : (tier.compact[name] ?? tier.full[name])!;
        args.push(this.heap.offset(tensor));
      }
      addNumbers(args, spec, hostValues(spec.graph, tier.scalars));
    });
    const run: HeapFunction = kernel.program.on(this.heap.memory).run;
    run(...args);
    this.wasWritten(w);
  }

  isFinite(gradient: Tensor): boolean {
    const result = this.heap.scratch(RESULT_BYTES);
    return isFinitePart(this.heap.memory, result, this.heap.offset(gradient), gradient.size);
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number = Number.POSITIVE_INFINITY): number {
    const result = this.heap.scratch(RESULT_BYTES);
    let total = 0;
    for (const gradient of [...gradients].reverse()) {
      total += sumSquaresOfPart(this.heap.memory, result, this.heap.offset(gradient), gradient.size, clipValue);
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

  /** tfjs packs weights of matrix products per tensor; a vector never is one. */
  private wasWritten(tensor: Tensor): void {
    if (tensor.rank > 1) this.heap.forgetPackedWeights(tensor);
  }
}

/** The kernels for the current backend, which must be tfjs's wasm backend. */
export const heapKernels: () => HeapKernels = perBackend(backend => new HeapKernels(tensorHeap(backend)));
