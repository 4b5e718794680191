import { type Graph, hostValues, type KernelInputs, type SplitAxis, type SplitTier, simplify } from '@frugaljs/core';
import { Program } from '../program.js';
import { denseKernel } from './dense-kernel.js';
import { reducedArrays } from './dense-values.js';
import { type KernelSignature, signatureOf } from './graph-emitter.js';
import { splitKernel } from './split-kernel.js';
import { type TierSpec, tierSpec } from './tier.js';

/** A compiled graph and the order of its arguments. */
export interface DenseKernel {
  readonly signature: KernelSignature;
  readonly program: Program<'run'>;
  /** Arrays that it needs in the scratch memory, each padded to whole vectors. */
  readonly scratch: ReturnType<typeof reducedArrays>;
}

/** A compiled split and the order of its arguments. */
export interface SplitKernel {
  readonly tiers: readonly TierSpec[];
  readonly program: Program<'run'>;
}

/**
 * Kernels that are kept for graphs still to come. Constants such as a decay are part of a kernel, so a search over them
 * compiles one for each. Who has a graph finds its kernel by that, also when it is not among these any more.
 */
const KEPT_KERNELS = 256;

/** Finds by text; forgets what was least recently asked for. */
export class RecentKernels<Kernel> {
  private readonly byText = new Map<string, Kernel>();

  constructor(private readonly most: number = KEPT_KERNELS) {}

  get size(): number {
    return this.byText.size;
  }

  of(text: string, compile: () => Kernel): Kernel {
    const kernel = this.byText.get(text) ?? compile();
    // A Map lists its keys in the order in which they were set.
    this.byText.delete(text);
    this.byText.set(text, kernel);
    if (this.byText.size > this.most) this.byText.delete(this.byText.keys().next().value!);
    return kernel;
  }
}

const denseByText = new RecentKernels<DenseKernel>();
const denseByGraph = new WeakMap<Graph, Map<string, DenseKernel>>();

/**
 * The kernel of a graph for inputs of which the same ones are numbers. Compiled once for all graphs of the same text;
 * after the first call with a graph object it is found by that.
 */
export function denseKernelOf(graph: Graph, inputs: KernelInputs): DenseKernel {
  const filled: string[] = [];
  for (const node of graph.nodes) {
    if (node.op === 'input' && typeof inputs[node.name] === 'number') filled.push(node.name);
  }
  let variants = denseByGraph.get(graph);
  if (variants === undefined) {
    variants = new Map();
    denseByGraph.set(graph, variants);
  }
  const variant = filled.join();
  let kernel = variants.get(variant);
  if (kernel === undefined) {
    const text = `${variant} ${textOf(graph)}`;
    kernel = denseByText.of(text, () => compileDense(graph, filled));
    variants.set(variant, kernel);
  }
  return kernel;
}

const splitByText = new RecentKernels<SplitKernel>();
const splitByGraph = new WeakMap<Graph, SplitKernel>();

/** The kernel of a split, compiled once for all splits of the same text and found by the graph of the last tier. */
export function splitKernelOf(axis: SplitAxis, tiers: readonly SplitTier[]): SplitKernel {
  const last = tiers[tiers.length - 1]!;
  let kernel = splitByGraph.get(last.graph);
  if (kernel === undefined) {
    const text = `${axis} ${tiers.map(({ graph, compact }) => `${Object.keys(compact)} ${textOf(graph)}`).join(' ')}`;
    kernel = splitByText.of(text, () => compileSplit(axis, tiers));
    splitByGraph.set(last.graph, kernel);
  }
  return kernel;
}

const NO_INPUTS: KernelInputs = {};

/**
 * The numbers among the arguments of a call: those that the host computes from the scalars of the step, and inputs that
 * are given as numbers.
 *
 * @throws UnknownNameError when the graph reads a scalar that is not given.
 */
export function numbersOf(
  { graph, numbers }: KernelSignature,
  scalars: Readonly<Record<string, number>>,
  inputs: KernelInputs = NO_INPUTS,
): number[] {
  const host = hostValues(graph, scalars);
  return numbers.map(id => {
    const node = graph.nodes[id]!;
    return node.op === 'input' ? (inputs[node.name] as number) : host[id]!;
  });
}

function compileDense(graph: Graph, filled: readonly string[]): DenseKernel {
  const signature = signatureOf(simplify(graph), new Set(filled));
  const program = new Program<'run'>('fused graph', () => denseKernel(signature));
  return { signature, program, scratch: reducedArrays(signature.graph) };
}

function compileSplit(axis: SplitAxis, tiers: readonly SplitTier[]): SplitKernel {
  const specs = tiers.map(tierSpec);
  return { tiers: specs, program: new Program(`split by ${axis}`, () => splitKernel(axis, specs)) };
}

/** Equal for graphs that compute the same in the same way. JSON writes all infinities as null. */
function textOf(graph: Graph): string {
  return JSON.stringify(graph, (_, value) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? `${1 / value} ${value}` : value,
  );
}
