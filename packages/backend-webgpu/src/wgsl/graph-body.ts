import { type BinaryOperation, type Graph, type GraphNode, neededNodes, type UnaryOperation } from '@frugaljs/core';
import { FLOAT, type ShaderWriter, type Width } from './shader.js';

/** Where a pass finds what it does not compute. */
export interface Sources {
  /** An input, as an expression. */
  input(node: GraphNode & { op: 'input' }): string;
  /** The result of an earlier pass. */
  reduced(node: GraphNode & { op: 'reduce' }, id: number): string;
}

/** How the values of a body are written down. */
export interface BodyStyle {
  /** Number of the graph among those of a kernel. Default 0. */
  readonly tier?: number;
  /** Begins the names of variables. Default `v`. */
  readonly prefix?: string;
  /** Entries that a value per element stands for. Default 1. */
  readonly width?: Width;
}

/** The statements that compute values of a graph. */
export class GraphBody {
  readonly lines: string[] = [];
  private readonly names = new Map<number, string>();

  private readonly tier: number;
  private readonly prefix: string;
  private readonly width: Width;

  constructor(
    private readonly graph: Graph,
    private readonly writer: ShaderWriter,
    private readonly sources: Sources,
    { tier = 0, prefix = 'v', width = 1 }: BodyStyle = {},
  ) {
    this.tier = tier;
    this.prefix = prefix;
    this.width = width;
  }

  /**
   * The name of a value; adds the statements that compute it.
   *
   * @param perElement As many entries wide as a value per element, though it may be one for all.
   */
  value(id: number, perElement = false): string {
    for (const needed of this.neededFor(id)) {
      if (this.names.has(needed)) continue;
      const node = this.graph.nodes[needed]!;
      if (node.extent === 'host') {
        this.names.set(needed, this.hostValue(node, needed));
        continue;
      }
      const name = `${this.prefix}${needed}`;
      this.lines.push(`let ${name} = ${this.expression(node, needed)};`);
      this.names.set(needed, name);
    }
    return perElement ? this.spread(id, this.width) : this.names.get(id)!;
  }

  /** The statements so far. */
  text(indent = '  '): string {
    return this.lines.map(line => indent + line).join('\n');
  }

  private expression(node: Exclude<GraphNode, { op: 'constant' | 'scalar' }>, id: number): string {
    const width = node.extent === 'element' ? this.width : 1;
    const of = (operand: number): string => this.spread(operand, width);
    switch (node.op) {
      case 'input':
        return this.sources.input(node);
      case 'reduce':
        return this.sources.reduced(node, id);
      case 'select':
        return `select(${of(node.y)}, ${of(node.x)}, isTrue${width}(${of(node.condition)}))`;
      default: {
        if (!('y' in node)) return wgslUnary(node.op, of(node.x), width);
        const isMixed = mixesWidths(node.op);
        const operand = (position: number): string => (isMixed ? this.names.get(position)! : of(position));
        return wgslBinary(node.op, operand(node.x), operand(node.y), width);
      }
    }
  }

  /** A value as wide as what it is computed with. */
  private spread(id: number, width: Width): string {
    const name = this.names.get(id)!;
    return width === 1 || this.graph.nodes[id]!.extent === 'element' ? name : `${FLOAT[width]}(${name})`;
  }

  private hostValue(node: GraphNode, id: number): string {
    const literal = node.op === 'constant' ? wgslLiteral(node.value) : null;
    return literal ?? this.writer.hostNumber(this.tier, id);
  }

  /** What has to be computed for a value, operands first. Values of the host and of earlier passes are found as they are. */
  private neededFor(target: number): readonly number[] {
    const isGiven = (node: GraphNode, id: number): boolean =>
      this.names.has(id) || node.extent === 'host' || node.op === 'reduce';
    return neededNodes(this.graph.nodes, [target], isGiven);
  }
}

/** A one-operand operation as a WGSL expression of a name. */
function wgslUnary(op: UnaryOperation, x: string, width: Width): string {
  switch (op) {
    case 'neg':
      return `-${x}`;
    case 'abs':
      return `abs(${x})`;
    case 'sqrt':
      return `sqrt(${x})`;
    case 'square':
      return `${x} * ${x}`;
    case 'sign':
      return `signOf${width}(${x})`;
    case 'exp':
      return `expOf${width}(${x})`;
    case 'log':
      return `logOf${width}(${x})`;
    case 'reciprocal':
      return `1.0 / ${x}`;
  }
}

const OPERATORS: Readonly<Partial<Record<BinaryOperation, string>>> = { add: '+', sub: '-', mul: '*', div: '/' };

const COMPARISONS: Readonly<Partial<Record<BinaryOperation, string>>> = {
  greater: '>',
  greaterEqual: '>=',
  less: '<',
  lessEqual: '<=',
  equal: '==',
};

/** True for operations that WGSL gives a vector and a number. */
function mixesWidths(op: BinaryOperation): boolean {
  return OPERATORS[op] !== undefined;
}

/** A two-operand operation. */
export function wgslBinary(op: BinaryOperation, x: string, y: string, width: Width): string {
  if (op === 'maximum') return `larger${width}(${x}, ${y})`;
  if (op === 'minimum') return `smaller${width}(${x}, ${y})`;
  const comparison = COMPARISONS[op];
  if (comparison === undefined) return `${x} ${OPERATORS[op]!} ${y}`;
  const isTrue = `(${x} ${comparison} ${y}) & areNumbers${width}(${x}, ${y})`;
  return `select(${FLOAT[width]}(0.0), ${FLOAT[width]}(1.0), ${isTrue})`;
}

/** A finite number as a WGSL literal; `null` for one that has none. */
function wgslLiteral(value: number): string | null {
  const rounded = Math.fround(value);
  // Subnormal literals may be flushed, and a negated 0 is folded to +0.
  if (!Number.isFinite(rounded) || Object.is(rounded, -0)) return null;
  if (rounded !== 0 && Math.abs(rounded) < 1.1754943508222875e-38) return null;
  const text = String(rounded);
  const literal = /[.e]/.test(text) ? text : `${text}.0`;
  return rounded < 0 ? `(${literal})` : literal;
}
