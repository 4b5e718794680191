import {
  blockSizes,
  type Extent,
  type Graph,
  hostValues,
  type KernelInputs,
  matrixView,
  type Shape,
  slotShape,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Dispatcher, requireBindable, ScratchBuffer } from '../device/dispatcher.js';
import type { TensorDevice } from '../device/tensor-device.js';
import type { Field } from '../wgsl/shader.js';
import { entriesOf, type Pass, type PassContext, writePass } from './passes.js';
import type { ReduceNode } from './reduction-kernel.js';
import { layoutScratch, reductionNumbers, reductionPasses, reductionStages } from './reductions.js';

/**
 * The results after those per element and per block. Wider ones come first: narrower ones read only what is as narrow, so
 * nothing is overwritten before it is read.
 */
const WRITE_ORDER: readonly Extent[] = ['row', 'column', 'tensor'];

/** Entries per thread of a pass that does not look at rows and columns. */
const WIDE = 4;

/** The kernels with the tensors of one run. */
interface Prepared {
  readonly program: GraphProgram;
  /** Inputs, then outputs. */
  readonly tensors: readonly Tensor[];
  readonly results: Record<string, Tensor>;
}

/** Runs graphs over whole tensors, with kernels that are planned once per graph. */
export class GraphRuns {
  private readonly device: TensorDevice;
  private readonly scratch: ScratchBuffer;
  private readonly programs = new WeakMap<Graph, Map<string, GraphProgram>>();

  constructor(private readonly dispatcher: Dispatcher) {
    this.device = dispatcher.device;
    this.scratch = new ScratchBuffer(this.device, 'partial results of reductions');
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    const { program, tensors, results } = this.prepare(graph, inputs, shape, overwrite);
    const { offsets, length } = layoutScratch(program.reductions, shape);
    const scratch = length === 0 ? null : this.scratch.atLeast(length);
    const buffers = tensors.map(tensor => this.device.buffer(tensor));
    const host = hostValues(graph, scalars);
    const [rows, columns] = matrixView(shape);
    const numbers: Record<string, number> = {
      rows,
      columns,
      size: rows * columns,
      ...reductionNumbers(rows, columns, program.blockSize),
      count: 0,
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
    const isWide = program.wide !== null && (rows * columns) % WIDE === 0;
    for (const pass of isWide ? [program.wide!] : program.passes) {
      const bound = pass.slots.map(slot => (slot === -1 ? scratch! : buffers[slot]!));
      requireBindable(this.dispatcher.limits, bound, shape);
      numbers['count'] = entriesOf(pass.extent, shape) / (isWide ? WIDE : 1);
      this.dispatcher.dispatchGrid(pass.shader, bound, pass.groups(rows, columns), numbers, numberFor);
    }
    for (const name of program.outputs) if (overwrite[name] !== undefined) this.device.wasWritten(results[name]!);
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
    return { program: this.programFor(graph, filled, same), tensors, results };
  }

  private programFor(graph: Graph, filled: readonly string[], same: readonly number[]): GraphProgram {
    let variants = this.programs.get(graph);
    if (variants === undefined) {
      variants = new Map();
      this.programs.set(graph, variants);
    }
    const variant = `${filled} ${same}`;
    let program = variants.get(variant);
    if (program === undefined) {
      program = planGraph(graph, new Set(filled), same);
      variants.set(variant, program);
    }
    return program;
  }
}

/** All kernels of a graph, in the order in which they run. */
interface GraphProgram {
  readonly outputs: readonly string[];
  readonly passes: readonly Pass[];
  readonly reductions: readonly ReduceNode[];
  /** Columns in a block; 1 where there are none. */
  readonly blockSize: number;
  /**
   * One pass with four entries per thread, for tensors of a multiple of four entries; null where there are several or
   * where one looks at rows and columns.
   */
  readonly wide: Pass | null;
}

/**
 * Plans the kernels of a graph.
 *
 * @param filled Inputs given as numbers.
 * @param same For each tensor input, then each output, the position of the first one of the same tensor.
 */
function planGraph(graph: Graph, filled: ReadonlySet<string>, same: readonly number[]): GraphProgram {
  const inputs = tensorInputs(graph, filled);
  const outputs = Object.keys(graph.outputs);
  const names = [...inputs.map(name => `in ${name}`), ...outputs.map(name => `out ${name}`)];
  const tensors = new Map(names.map((name, i) => [name, same[i]!]));
  const context: PassContext = { graph, tensors, filled };
  const stages = reductionStages(graph);
  const passes = stages.flatMap(stage => [...reductionPasses(context, stage)]);
  const blocks = blockSizes(graph).map((size): Extent => `block ${size}`);
  for (const extent of ['element' as const, ...blocks, ...WRITE_ORDER]) {
    const pass = writePass(context, extent);
    if (pass !== null) passes.push(pass);
  }
  const isFlat =
    passes.length === 1 &&
    graph.nodes.every(({ extent }) => extent === 'host' || extent === 'element' || extent === 'tensor') &&
    Object.values(graph.outputs).every(({ extent }) => extent === 'element');
  const wide = isFlat ? writePass(context, 'element', WIDE) : null;
  return { outputs, passes, reductions: stages.flat(), blockSize: blockSizes(graph)[0] ?? 1, wide };
}

/** Inputs that are tensors, in the order of the graph. */
export function tensorInputs(graph: Graph, filled: ReadonlySet<string>): readonly string[] {
  return graph.nodes.flatMap(node => (node.op === 'input' && !filled.has(node.name) ? [node.name] : []));
}
