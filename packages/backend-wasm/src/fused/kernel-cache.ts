import { type Graph, type KernelInputs, type SplitAxis, type SplitTier, simplify } from '@frugaljs/core';
import { Program } from '../program.js';
import { denseKernel } from './dense-kernel.js';
import { type KernelCall, signatureOf } from './kernel-signature.js';
import { splitKernel } from './split-kernel.js';
import type { TierSpec } from './tier.js';

/** A compiled graph and the order of its arguments. */
export interface DenseKernel extends KernelCall {
  readonly program: Program<'run'>;
}

/** A compiled split and the order of its arguments. */
export interface SplitKernel {
  readonly tiers: readonly TierSpec[];
  readonly program: Program<'run'>;
}

const denseByText = new Map<string, DenseKernel>();
const denseByGraph = new WeakMap<Graph, Map<string, DenseKernel>>();

/**
 * The kernel of a graph for inputs of which the same ones are numbers. Compiled once for all graphs of the same text;
 * after the first call with a graph object it is found by that.
 */
export function denseKernelOf(graph: Graph, inputs: KernelInputs): DenseKernel {
  const filled = filledInputs(graph, inputs);
  let variants = denseByGraph.get(graph);
  if (variants === undefined) {
    variants = new Map();
    denseByGraph.set(graph, variants);
  }
  const variant = filled.join();
  let kernel = variants.get(variant);
  if (kernel === undefined) {
    const text = `${variant} ${textOf(graph)}`;
    kernel = denseByText.get(text) ?? compileDense(graph, filled);
    denseByText.set(text, kernel);
    variants.set(variant, kernel);
  }
  return kernel;
}

/** Names of the inputs that are given as numbers, in the order of the graph. */
function filledInputs(graph: Graph, inputs: KernelInputs): readonly string[] {
  const filled: string[] = [];
  for (const node of graph.nodes) {
    if (node.op === 'input' && typeof inputs[node.name] === 'number') filled.push(node.name);
  }
  return filled;
}

const splitByText = new Map<string, SplitKernel>();
const splitByGraph = new WeakMap<Graph, SplitKernel>();

/** The kernel of a split, compiled once for all splits of the same text and found by the graph of the last tier. */
export function splitKernelOf(axis: SplitAxis, tiers: readonly SplitTier[]): SplitKernel {
  const last = tiers[tiers.length - 1]!;
  let kernel = splitByGraph.get(last.graph);
  if (kernel === undefined) {
    const text = `${axis} ${tiers.map(({ graph, compact }) => `${Object.keys(compact)} ${textOf(graph)}`).join(' ')}`;
    kernel = splitByText.get(text) ?? compileSplit(axis, tiers);
    splitByText.set(text, kernel);
    splitByGraph.set(last.graph, kernel);
  }
  return kernel;
}

function compileSplit(axis: SplitAxis, tiers: readonly SplitTier[]): SplitKernel {
  const specs = tiers.map(({ graph, compact }) => {
    const simple = simplify(graph);
    return { graph: simple, signature: signatureOf(simple, new Set()), compact: new Set(Object.keys(compact)) };
  });
  return { tiers: specs, program: new Program(`split by ${axis}`, () => splitKernel(axis, specs)) };
}

function compileDense(given: Graph, filled: readonly string[]): DenseKernel {
  const graph = simplify(given);
  const signature = signatureOf(graph, new Set(filled));
  return { graph, signature, program: new Program('fused graph', () => denseKernel(graph, signature)) };
}

/** Equal for graphs that compute the same in the same way. JSON writes all infinities as null. */
function textOf(graph: Graph): string {
  return JSON.stringify(graph, (_, value) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? `${1 / value} ${value}` : value,
  );
}
