import { type Graph, simplify } from '@frugaljs/core';
import { Program } from '../program.js';
import { denseKernel } from './dense-kernel.js';
import { type KernelSignature, signatureOf } from './kernel-signature.js';
import { type SplitAxis, splitKernel } from './split-kernel.js';
import type { TierSpec } from './tier.js';

/** A compiled graph and the order of its arguments. */
export interface DenseKernel {
  /** What is computed; the numbers of the signature are nodes of this graph. */
  readonly graph: Graph;
  readonly signature: KernelSignature;
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
 * The kernel of a graph. Compiled once for all graphs of the same text; after the first call with a graph object it is
 * found without looking at the graph.
 *
 * @param filled Names of the inputs that are given as numbers, in the order of the graph.
 */
export function denseKernelOf(graph: Graph, filled: readonly string[]): DenseKernel {
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

const splitByText = new Map<string, SplitKernel>();

/** What the kernel of a split depends on. */
export interface SplitShape {
  readonly graph: Graph;
  readonly compact: readonly string[];
}

/** The kernel of a split; the caller keeps it for later steps. */
export function splitKernelOf(axis: SplitAxis, tiers: readonly SplitShape[]): SplitKernel {
  const text = `${axis} ${tiers.map(({ graph, compact }) => `${compact.join()} ${textOf(graph)}`).join(' ')}`;
  let kernel = splitByText.get(text);
  if (kernel === undefined) {
    const specs = tiers.map(({ graph, compact }) => {
      const simple = simplify(graph);
      return { graph: simple, signature: signatureOf(simple, new Set()), compact: new Set(compact) };
    });
    kernel = { tiers: specs, program: new Program(`split by ${axis}`, () => splitKernel(axis, specs)) };
    splitByText.set(text, kernel);
  }
  return kernel;
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
