import {
  type Graph,
  hostValues,
  type KernelInputs,
  type KernelSet,
  matrixView,
  type Shape,
  type SplitTier,
  sizeOf,
} from '@frugaljs/core';
import { engine, type KernelBackend, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { gradientPasses, INFINITE_MAGNITUDE } from './gradient-passes.js';
import { denseKernelOf, type SplitKernel, splitKernelOf } from './kernel-cache.js';
import { scratchEntries } from './split-kernel.js';
import { refusalOf } from './stages.js';
import { tierTensors } from './tier.js';
import { TileMemory } from './tile-memory.js';
import { unfilledFloats } from './unfilled-floats.js';

/** Entries of a tile: small enough for all arrays of a step to stay in the second-level cache. */
const TILE = 32768;

/** What tfjs's cpu backend keeps of a tensor. */
interface CpuBackend extends KernelBackend {
  readonly data: { get(dataId: object): { values: Float32Array | Int32Array } };
}

/**
 * Runs expression graphs on tfjs's cpu backend: tiles of the JavaScript arrays are copied to a small WebAssembly memory,
 * computed there and copied back. Graphs with reductions, which would need more than one round of copies, are refused.
 *
 * On this backend `dataSync()` hands out the array of a tensor itself. New values of a parameter `w` therefore go to a
 * new array, so that values read earlier stay as they were; state, which nobody else reads, is written in place.
 */
export class TileKernels implements KernelSet {
  readonly description = 'fused WebAssembly SIMD, tile by tile';
  private readonly memory = new TileMemory();
  private readonly splits = new WeakMap<Graph, SplitKernel>();

  constructor(private readonly backend: CpuBackend) {}

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
    const filled = given.nodes.flatMap(node =>
      node.op === 'input' && typeof inputs[node.name] === 'number' ? [node.name] : [],
    );
    const { graph, signature, program } = denseKernelOf(given, filled);
    const host = hostValues(graph, scalars);
    const numbers = signature.numbers.map(id => {
      const node = graph.nodes[id]!;
      return node.op === 'input' ? (inputs[node.name] as number) : host[id]!;
    });
    const size = sizeOf(shape);
    const results = Object.fromEntries(
      signature.outputs.map(name => {
        const over = overwrite[name];
        return [name, over === undefined ? tensor(unfilledFloats(size), [...shape]) : (inputs[over] as Tensor)];
      }),
    );
    const sources = signature.inputs.map(name => this.floats(inputs[name] as Tensor));
    const targets = signature.outputs.map(name => (name === 'w' ? unfilledFloats(size) : this.floats(results[name]!)));
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
      if (name === 'w') this.backend.data.get(results[name]!.dataId).values = targets[i]!;
    });
    return results;
  }

  runSplit(axis: 'row' | 'column' | 'element', w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const last = tiers[tiers.length - 1]!;
    let kernel = this.splits.get(last.graph);
    if (kernel === undefined) {
      kernel = splitKernelOf(
        axis,
        tiers.map(({ graph, compact }) => ({ graph, compact: Object.keys(compact) })),
      );
      this.splits.set(last.graph, kernel);
    }
    // A flat split is a single row that is cut anywhere; the others are cut between rows.
    const [rows, columns] = axis === 'element' ? [w.size, 1] : matrixView(w.shape);
    const perTile = Math.max(1, Math.floor(TILE / columns));
    const lists = tiers.slice(0, -1).map(({ indices }) => this.integers(indices!));
    const done = lists.map(() => 0);
    const next = unfilledFloats(w.size);
    for (let start = 0; start < rows; start += perTile) {
      const end = Math.min(start + perTile, rows);
      this.runTile({ axis, w, next, g, tiers, kernel, columns, start, end, lists, done });
    }
    this.backend.data.get(w.dataId).values = next;
  }

  isFinite(gradient: Tensor): boolean {
    return (
      this.gradientTiles(gradient, (at, count, result) => {
        gradientPasses.on(this.memory.memory).magnitude(result, at, count);
        return new Uint32Array(this.memory.memory.buffer, result, 4).every(bits => bits < INFINITE_MAGNITUDE) ? 0 : 1;
      }) === 0
    );
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number = Number.POSITIVE_INFINITY): number {
    let total = 0;
    for (const gradient of gradients) {
      total += this.gradientTiles(gradient, (at, count, result) => {
        gradientPasses.on(this.memory.memory).sumSquares(result, at, count, clipValue);
        const halves = new Float64Array(this.memory.memory.buffer, result, 2);
        return halves[0]! + halves[1]!;
      });
    }
    return total;
  }

  isSole(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1;
  }

  private gradientTiles(gradient: Tensor, visit: (at: number, count: number, result: number) => number): number {
    const values = this.floats(gradient);
    let total = 0;
    for (let start = 0; start < values.length; start += TILE) {
      this.memory.clear();
      const result = this.memory.reserve(4);
      const part = values.subarray(start, start + TILE);
      total += visit(this.memory.put(part), part.length, result);
    }
    return total;
  }

  private runTile({ axis, w, next, g, tiers, kernel, columns, start, end, lists, done }: SplitTile): void {
    const { memory } = this;
    memory.clear();
    const height = end - start;
    const args = axis === 'element' ? [1, height] : [height, columns];
    args.push(memory.reserve(scratchEntries(axis, columns)));
    const spans = lists.map((list, i): Span => {
      if (axis === 'column') return { from: start * list.length, to: end * list.length, list, base: 0 };
      const first = done[i]!;
      let last = first;
      while (last < list.length && list[last]! < end) last++;
      done[i] = last;
      return { from: first * columns, to: last * columns, list: list.subarray(first, last), base: start };
    });
    for (const { list, base } of spans) {
      // The driver may look one index ahead at an empty list.
      const at = memory.putIntegers(list, base, Math.max(1, list.length));
      args.push(at, list.length);
    }
    const [wAt, gAt] = [w, g].map(x => memory.put(this.floats(x).subarray(start * columns, end * columns))) as [
      number,
      number,
    ];
    const back: {
      readonly values: Float32Array;
      readonly from: number;
      readonly at: number;
      readonly count: number;
    }[] = [];
    tiers.forEach((tier, i) => {
      const spec = kernel.tiers[i]!;
      for (const name of tierTensors(spec)) {
        if (name === 'w' || name === 'g') {
          args.push(name === 'w' ? wAt : gAt);
          continue;
        }
        const compact = tier.compact[name];
        const values = this.floats(compact ?? tier.full[name]!);
        const [from, to] = compact === undefined ? [start * columns, end * columns] : [spans[i]!.from, spans[i]!.to];
        const known = back.find(entry => entry.values === values);
        const at = known?.at ?? memory.put(values.subarray(from, to));
        if (known === undefined) back.push({ values, from, at, count: to - from });
        args.push(at);
      }
      const host = hostValues(spec.graph, tier.scalars);
      for (const id of spec.signature.numbers) args.push(host[id]!);
    });
    kernel.program.on(memory.memory).run(...args);
    back.push({ values: next, from: start * columns, at: wAt, count: height * columns });
    for (const { values, from, at, count } of back) values.set(memory.floats(at, count), from);
  }

  private floats(tensor: Tensor): Float32Array {
    return this.backend.data.get(tensor.dataId).values as Float32Array;
  }

  private integers(tensor: Tensor): Int32Array {
    return this.backend.data.get(tensor.dataId).values as Int32Array;
  }
}

/** What of a tier's own tensors and indices lies in a tile. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly list: Int32Array;
  /** Subtracted from the indices. */
  readonly base: number;
}

interface SplitTile {
  readonly axis: 'row' | 'column' | 'element';
  readonly w: Tensor;
  /** Where the new values of `w` go. */
  readonly next: Float32Array;
  readonly g: Tensor;
  readonly tiers: readonly SplitTier[];
  readonly kernel: SplitKernel;
  readonly columns: number;
  readonly start: number;
  readonly end: number;
  readonly lists: readonly Int32Array[];
  /** Indices of each list that earlier tiles have used up. */
  readonly done: number[];
}

const kernels = new WeakMap<object, TileKernels>();

/** The kernels for the current backend, which must be tfjs's cpu backend. */
export function tileKernels(): TileKernels {
  const backend = engine().backend as CpuBackend;
  let found = kernels.get(backend);
  if (found === undefined) {
    found = new TileKernels(backend);
    kernels.set(backend, found);
  }
  return found;
}
