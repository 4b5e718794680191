import { type Graph, type GraphNode, type KernelInputs, operandsOf } from '@frugaljs/core';
import type { ValueType } from '@frugaljs/wasm-assembly';

/** What a kernel's arguments mean, in the order of the call: addresses of tensors, then numbers. */
export interface KernelSignature {
  /** Inputs that are tensors. */
  readonly inputs: readonly string[];
  /** Results; each gets an address of its own, which may be that of an input. */
  readonly outputs: readonly string[];
  /** Nodes whose value is a number on the host and an operand on the device. */
  readonly numbers: readonly number[];
}

/**
 * The signature of a graph's kernel.
 *
 * @param filled Inputs given as a number that stands for a tensor filled with it; they travel as numbers.
 */
export function signatureOf(graph: Graph, filled: ReadonlySet<string>): KernelSignature {
  const isNumber = (node: GraphNode): boolean =>
    node.extent === 'host' || (node.op === 'input' && filled.has(node.name));
  const used = new Set<number>(Object.values(graph.outputs).map(output => output.node));
  for (const node of graph.nodes) {
    if (node.extent !== 'host') for (const operand of operandsOf(node)) used.add(operand);
  }
  return {
    inputs: graph.nodes.flatMap(node => (node.op === 'input' && !filled.has(node.name) ? [node.name] : [])),
    outputs: Object.keys(graph.outputs),
    numbers: graph.nodes.flatMap((node, id) => (isNumber(node) && used.has(id) ? [id] : [])),
  };
}

/** A graph and how its kernel is called. */
export interface KernelCall {
  /** What is computed; the numbers of the signature are nodes of this graph. */
  readonly graph: Graph;
  readonly signature: KernelSignature;
}

const NO_INPUTS: KernelInputs = {};

/**
 * Adds the numbers of a call to its arguments.
 *
 * @param host The values that the host computes, by node.
 * @param inputs Where inputs that are given as numbers are found.
 */
export function addNumbers(
  args: number[],
  { graph, signature }: KernelCall,
  host: readonly (number | undefined)[],
  inputs: KernelInputs = NO_INPUTS,
): void {
  for (const id of signature.numbers) {
    const node = graph.nodes[id]!;
    args.push(node.op === 'input' ? (inputs[node.name] as number) : host[id]!);
  }
}

/** Names of the parameters that carry a signature. */
export const inputParameter = (name: string): string => `in ${name}`;
export const outputParameter = (name: string): string => `out ${name}`;
export const numberParameter = (id: number): string => `number ${id}`;

/** The parameters of a kernel function that carry a signature, in the order of the call. */
export function signatureParameters({ inputs, outputs, numbers }: KernelSignature): Record<string, ValueType> {
  return Object.fromEntries([
    ...inputs.map(name => [inputParameter(name), 'i32'] as const),
    ...outputs.map(name => [outputParameter(name), 'i32'] as const),
    ...numbers.map(id => [numberParameter(id), 'f32'] as const),
  ]);
}
