import { blockSize, blockSizes, type Graph, type GraphNode, neededNodes, operandsOf } from '@frugaljs/core';
import {
  type Code,
  type FunctionScope,
  f32x4,
  type Local,
  sequence,
  type ValueType,
  v128,
} from '@frugaljs/wasm-assembly';
import { LANE_BINARY, LANE_COMPARE, LANE_UNARY, laneAnd, laneConstant, laneOr, laneSelect } from './lanes.js';

/** Operations that the emitter does not have. */
const MISSING: readonly string[] = ['exp', 'log'];

/** Why the emitter cannot turn a graph into a kernel; `null` when it can. */
export function refusalOf(graph: Graph): string | null {
  const missing = graph.nodes.find(node => MISSING.includes(node.op));
  if (missing !== undefined) return `no fused ${missing.op}`;
  const sizes = blockSizes(graph);
  return sizes.length > 1 ? `blocks of ${sizes.join(' and of ')} columns in one pass` : null;
}

const ZERO = laneConstant(0);
const ONE = laneConstant(1);
const SIGN_BIT = laneConstant(-0);
const COMPARISONS: readonly string[] = Object.keys(LANE_COMPARE);

/**
 * Emits the operations of a graph on vectors of four float32 lanes. Every value lives in a local variable; a comparison
 * that only chooses in `select` stays a bit mask and is never turned into 0 and 1.
 */
export class GraphEmitter {
  private readonly values = new Map<number, Local>();
  private readonly masks = new Map<number, Local>();
  private readonly spreads = new Map<number, Local>();
  private readonly spreadMasks = new Map<number, Local>();
  private readonly asNumber: ReadonlySet<number>;

  constructor(
    private readonly graph: Graph,
    private readonly scope: FunctionScope,
  ) {
    this.asNumber = usedAsNumber(graph);
  }

  /** The variable that holds a node's value; declared on first use. */
  value(id: number): Local {
    let local = this.values.get(id);
    if (local === undefined) {
      local = this.scope.local('v128');
      this.values.set(id, local);
    }
    return local;
  }

  /** The variable that holds a node's value for each of four entries: another one where that was {@link spread}. */
  valuePerElement(id: number): Local {
    return this.spreads.get(id) ?? this.value(id);
  }

  /** Puts values per block where operations on elements read them: for each entry that of its block. */
  spread(id: number, lanes: readonly [number, number, number, number]): Code {
    const isSame = lanes.every((lane, i) => lane === i);
    const put = (target: Local, source: Local): Code =>
      target.set(isSame ? source : v128.shuffle32(source, source, lanes));
    const mask = this.masks.get(id);
    return sequence(
      ...(mask === undefined ? [] : [put(this.spreadOf(this.spreadMasks, id), mask)]),
      ...(mask === undefined || this.asNumber.has(id) ? [put(this.spreadOf(this.spreads, id), this.value(id))] : []),
    );
  }

  private spreadOf(spreads: Map<number, Local>, id: number): Local {
    let local = spreads.get(id);
    if (local === undefined) {
      local = this.scope.local('v128');
      spreads.set(id, local);
    }
    return local;
  }

  /** Code that computes a node from the variables of its operands. */
  compute(id: number): Code {
    const node = this.graph.nodes[id]!;
    if (COMPARISONS.includes(node.op)) return this.computeComparison(id, node as Binary);
    return this.value(id).set(this.expression(node));
  }

  private computeComparison(id: number, node: Binary): Code {
    const [x, y] = [this.operand(node, node.x), this.operand(node, node.y)];
    const mask = this.masks.get(id) ?? this.scope.local('v128');
    this.masks.set(id, mask);
    const code = mask.set(LANE_COMPARE[node.op as keyof typeof LANE_COMPARE](x, y));
    return this.asNumber.has(id) ? sequence(code, this.value(id).set(laneAnd(mask, ONE))) : code;
  }

  private expression(node: GraphNode): Code {
    const of = (operand: number): Local => this.operand(node, operand);
    switch (node.op) {
      case 'neg':
      case 'abs':
      case 'sqrt':
        return LANE_UNARY[node.op](of(node.x));
      case 'square':
        return LANE_BINARY.mul(of(node.x), of(node.x));
      case 'reciprocal':
        return LANE_BINARY.div(ONE, of(node.x));
      case 'sign':
        return sign(of(node.x));
      case 'select':
        return laneSelect(of(node.x), of(node.y), this.maskOf(node, node.condition));
      case 'add':
      case 'sub':
      case 'mul':
      case 'div':
        return LANE_BINARY[node.op](of(node.x), of(node.y));
      case 'minimum':
      case 'maximum':
        return this.extremum(node, node.op);
      default:
        throw new Error(`No lane code for ${node.op}.`);
    }
  }

  /** With a limit that is not NaN one instruction does, which keeps NaN in the other operand; else it takes several. */
  private extremum(node: Binary, op: 'minimum' | 'maximum'): Code {
    const [x, y] = [this.operand(node, node.x), this.operand(node, node.y)];
    const isLimit = (id: number): boolean => {
      const limit = this.graph.nodes[id]!;
      return limit.op === 'constant' && !Number.isNaN(limit.value);
    };
    const short = op === 'minimum' ? f32x4.pmin : f32x4.pmax;
    if (isLimit(node.y)) return short(x, y);
    if (isLimit(node.x)) return short(y, x);
    return LANE_BINARY[op](x, y);
  }

  private maskOf(node: GraphNode, id: number): Code {
    const masks = this.isSpread(node, id) ? this.spreadMasks : this.masks;
    return masks.get(id) ?? LANE_COMPARE.notEqual(this.operand(node, id), ZERO);
  }

  /** The variable from which an operation reads an operand. */
  private operand(node: GraphNode, id: number): Local {
    return this.isSpread(node, id) ? this.valuePerElement(id) : this.value(id);
  }

  /** A value per block meets values per element. One that is given as a number is the same for all. */
  private isSpread({ extent }: GraphNode, operand: number): boolean {
    return blockSize(extent) === null && (this.spreads.has(operand) || this.spreadMasks.has(operand));
  }
}

type Binary = GraphNode & { readonly x: number; readonly y: number };

/** 1 with the sign of x where x is not ±0, all bits 1 (which is NaN) where it is NaN. */
function sign(x: Local): Code {
  const signed = laneOr(laneAnd(x, SIGN_BIT), ONE);
  return laneOr(laneAnd(signed, LANE_COMPARE.notEqual(x, ZERO)), LANE_COMPARE.notEqual(x, x));
}

/** Comparisons whose 0 or 1 is an operand of something other than the choice of a `select`, or a result. */
function usedAsNumber(graph: Graph): ReadonlySet<number> {
  const used = new Set(Object.values(graph.outputs).map(output => output.node));
  for (const node of graph.nodes) {
    if ('x' in node) used.add(node.x);
    if ('y' in node) used.add(node.y);
  }
  return used;
}

/** The nodes whose values are needed to compute the given ones, given that reductions and host values are known. */
export function neededFor(graph: Graph, targets: readonly number[]): readonly number[] {
  return neededNodes(graph.nodes, targets, isGiven);
}

/** Values that a pass finds rather than computes. What reduces a block is computed on the way. */
export function isGiven(node: GraphNode): boolean {
  return node.op === 'input' || (node.op === 'reduce' && blockSize(node.extent) === null) || node.extent === 'host';
}

/** A graph and what the arguments of its kernel mean, in the order of the call: addresses of tensors, then numbers. */
export interface KernelSignature {
  readonly graph: Graph;
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
export function signatureOf(graph: Graph, filled: ReadonlySet<string> = new Set()): KernelSignature {
  const isNumber = (node: GraphNode): boolean =>
    node.extent === 'host' || (node.op === 'input' && filled.has(node.name));
  const used = new Set<number>(Object.values(graph.outputs).map(output => output.node));
  for (const node of graph.nodes) {
    if (node.extent !== 'host') for (const operand of operandsOf(node)) used.add(operand);
  }
  return {
    graph,
    inputs: graph.nodes.flatMap(node => (node.op === 'input' && !filled.has(node.name) ? [node.name] : [])),
    outputs: Object.keys(graph.outputs),
    numbers: graph.nodes.flatMap((node, id) => (isNumber(node) && used.has(id) ? [id] : [])),
  };
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
