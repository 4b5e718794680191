import {
  type BackendTraits,
  type Graph,
  hostValues,
  type KernelInputs,
  type KernelSet,
  perBackend,
  type Shape,
  type SplitAxis,
  type SplitTier,
  sizeOf,
} from '@frugaljs/core';
import { type KernelBackend, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { CpuArrays } from './cpu-arrays.js';
import { isFinitePart, RESULT_BYTES, sumSquaresOfPart } from './gradient-passes.js';
import { denseKernelOf, splitKernelOf } from './kernel-cache.js';
import { addNumbers } from './kernel-signature.js';
import { refusalOf } from './stages.js';
import { TILE, TileMemory } from './tile-memory.js';
import { TileSplit } from './tile-split.js';
import { unfilledFloats } from './unfilled-floats.js';

/**
 * Runs expression graphs on tfjs's cpu backend: tiles of the JavaScript arrays are copied to a small WebAssembly memory,
 * computed there and copied back. Graphs with reductions, which would need more than one round of copies, are refused.
 *
 * On this backend `dataSync()` hands out the array of a tensor itself. New values of a parameter `w` therefore go to a
 * new array, so that values read earlier stay as they were; state, which nobody else reads, is written in place.
 */
export class TileKernels implements KernelSet {
  readonly description = 'fused WebAssembly SIMD, tile by tile';
  readonly traits: BackendTraits = {
    readsAtOnce: true,
    sharesMemory: true,
    refreshesOn: 'host',
    startsWithin: false,
  };
  private readonly arrays: CpuArrays;
  private readonly memory = new TileMemory();

  constructor(backend: KernelBackend) {
    this.arrays = new CpuArrays(backend);
  }

  refusal(graph: Graph): string | null {
    const isPlain = graph.nodes.every(({ extent }) => extent === 'element' || extent === 'host');
    return isPlain ? refusalOf(graph) : 'reductions are not fused on cpu';
  }

  run(
    given: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    const kernel = denseKernelOf(given, inputs);
    const { graph, signature, program } = kernel;
    const numbers: number[] = [];
    addNumbers(numbers, kernel, hostValues(graph, scalars), inputs);
    const size = sizeOf(shape);
    const results = Object.fromEntries(
      signature.outputs.map(name => {
        const over = overwrite[name];
        return [name, over === undefined ? tensor(unfilledFloats(size), [...shape]) : (inputs[over] as Tensor)];
      }),
    );
    const sources = signature.inputs.map(name => this.arrays.floats(inputs[name] as Tensor));
    const targets = signature.outputs.map(name =>
      name === 'w' ? unfilledFloats(size) : this.arrays.floats(results[name]!),
    );
    // An output that is written over an input has its place in the tile too, which halves what a cache must hold.
    const places = signature.outputs.map(name => signature.inputs.indexOf(overwrite[name] ?? ''));
    const { run } = program.on(this.memory.memory);
    for (let start = 0; start < size; start += TILE) {
      const end = Math.min(start + TILE, size);
      this.memory.clear();
      const from = sources.map(values => this.memory.put(values.subarray(start, end)));
      const to = places.map(place => from[place] ?? this.memory.reserve(end - start));
      run(1, end - start, 0, ...from, ...to, ...numbers);
      targets.forEach((values, i) => {
        values.set(this.memory.floats(to[i]!, end - start), start);
      });
    }
    signature.outputs.forEach((name, i) => {
      if (name === 'w') this.arrays.replace(results[name]!, targets[i]!);
    });
    return results;
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const next = unfilledFloats(w.size);
    new TileSplit(this.arrays, this.memory, splitKernelOf(axis, tiers), axis, w, g, tiers, next).run();
    this.arrays.replace(w, next);
  }

  isFinite(gradient: Tensor): boolean {
    const { memory } = this.memory;
    return this.gradientTiles(gradient, (at, count, result) => Number(!isFinitePart(memory, result, at, count))) === 0;
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number = Number.POSITIVE_INFINITY): number {
    const { memory } = this.memory;
    let total = 0;
    for (const gradient of gradients) {
      total += this.gradientTiles(gradient, (at, count, result) =>
        sumSquaresOfPart(memory, result, at, count, clipValue),
      );
    }
    return total;
  }

  isSole(tensor: Tensor): boolean {
    return this.arrays.isSole(tensor);
  }

  private gradientTiles(gradient: Tensor, visit: (at: number, count: number, result: number) => number): number {
    const values = this.arrays.floats(gradient);
    let total = 0;
    for (let start = 0; start < values.length; start += TILE) {
      this.memory.clear();
      const result = this.memory.reserve(RESULT_BYTES / 4);
      const part = values.subarray(start, start + TILE);
      total += visit(this.memory.put(part), part.length, result);
    }
    return total;
  }
}

/** The kernels for the current backend, which must be tfjs's cpu backend. */
export const tileKernels: () => TileKernels = perBackend(backend => new TileKernels(backend));
