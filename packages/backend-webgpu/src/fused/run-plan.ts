import type { Extent, Graph, Shape } from '@frugaljs/core';
import { matrixView } from '@frugaljs/core';
import { RunBuffers } from './bindings.js';
import { type Pass, type PassContext, writePass } from './passes.js';
import { reductionPasses, scratchOf } from './reductions.js';
import { type ReduceNode, reductionStages } from './stages.js';

/** Wider results first: narrower ones read only what is as narrow, so nothing is overwritten before it is read. */
const WRITE_ORDER: readonly Extent[] = ['element', 'row', 'column', 'tensor'];

/** Entries per thread of a pass that does not look at rows and columns. */
export const WIDE = 4;

/** All kernels of a graph, in the order in which they run. */
export interface RunPlan {
  /** Tensor inputs, then outputs. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly passes: readonly Pass[];
  readonly reductions: readonly ReduceNode[];
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
export function planRun(graph: Graph, filled: ReadonlySet<string>, same: readonly number[]): RunPlan {
  const inputs = tensorInputs(graph, filled);
  const outputs = Object.keys(graph.outputs);
  const names = [...inputs.map(name => `in ${name}`), ...outputs.map(name => `out ${name}`)];
  const context: PassContext = { graph, buffers: new RunBuffers(names, same), filled };
  const stages = reductionStages(graph);
  const passes = stages.flatMap(stage => [...reductionPasses(context, stage)]);
  for (const extent of WRITE_ORDER) {
    const pass = writePass(context, extent);
    if (pass !== null) passes.push(pass);
  }
  const isFlat =
    passes.length === 1 &&
    graph.nodes.every(({ extent }) => extent === 'host' || extent === 'element' || extent === 'tensor') &&
    Object.values(graph.outputs).every(({ extent }) => extent === 'element');
  const wide = isFlat ? writePass(context, 'element', WIDE) : null;
  return { inputs, outputs, passes, reductions: stages.flat(), wide };
}

/** Inputs that are tensors, in the order of the graph. */
export function tensorInputs(graph: Graph, filled: ReadonlySet<string>): readonly string[] {
  return graph.nodes.flatMap(node => (node.op === 'input' && !filled.has(node.name) ? [node.name] : []));
}

/** Where the result of each reduction lies in the scratch memory, and how large that is. */
export function layoutScratch(
  reductions: readonly ReduceNode[],
  shape: Shape,
): { readonly offsets: ReadonlyMap<number, number>; readonly length: number } {
  const [rows, columns] = matrixView(shape);
  const offsets = new Map<number, number>();
  let length = 0;
  for (const reduction of reductions) {
    offsets.set(reduction.id, length);
    length += scratchOf(reduction, rows, columns);
  }
  return { offsets, length };
}
