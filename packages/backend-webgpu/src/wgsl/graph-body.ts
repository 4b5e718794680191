import { type Graph, type GraphNode, operandsOf } from '@frugaljs/core';
import { WGSL_BINARY, WGSL_UNARY, wgslLiteral } from './operations.js';
import type { ShaderWriter } from './shader.js';

/** Where a pass finds what it does not compute. */
export interface Sources {
  /** An input, as an expression. */
  input(node: GraphNode & { op: 'input' }): string;
  /** The result of an earlier pass. */
  reduced(node: GraphNode & { op: 'reduce' }, id: number): string;
}

/** The statements that compute values of a graph. */
export class GraphBody {
  readonly lines: string[] = [];
  private readonly names = new Map<number, string>();

  /**
   * @param tier Number of the graph among those of a kernel.
   * @param prefix Begins the names of its variables.
   */
  constructor(
    private readonly graph: Graph,
    private readonly writer: ShaderWriter,
    private readonly sources: Sources,
    private readonly tier = 0,
    private readonly prefix = 'v',
  ) {}

  /** The name of a value; adds the statements that compute it. */
  value(id: number): string {
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
    return this.names.get(id)!;
  }

  private expression(node: Exclude<GraphNode, { op: 'constant' | 'scalar' }>, id: number): string {
    const of = (operand: number): string => this.names.get(operand)!;
    switch (node.op) {
      case 'input':
        return this.sources.input(node);
      case 'reduce':
        return this.sources.reduced(node, id);
      case 'select':
        return `select(${of(node.y)}, ${of(node.x)}, isTrue(${of(node.condition)}))`;
      default:
        return 'y' in node ? WGSL_BINARY[node.op](of(node.x), of(node.y)) : WGSL_UNARY[node.op](of(node.x));
    }
  }

  private hostValue(node: GraphNode, id: number): string {
    const literal = node.op === 'constant' ? wgslLiteral(node.value) : null;
    return literal ?? this.writer.hostNumber(this.tier, id);
  }

  /** What has to be computed for a value, operands first. Values of the host and of earlier passes are found as they are. */
  private neededFor(target: number): readonly number[] {
    const needed = new Set<number>();
    const visit = (id: number): void => {
      if (needed.has(id) || this.names.has(id)) return;
      needed.add(id);
      const node = this.graph.nodes[id]!;
      if (node.extent !== 'host' && node.op !== 'reduce') for (const operand of operandsOf(node)) visit(operand);
    };
    visit(target);
    return [...needed].sort((a, b) => a - b);
  }
}
