import { InvalidExpressionError } from '../errors.js';
import { didYouMean, printedAs } from '../options.js';
import { blockSize, type Extent, extentOf, knownExtent, type SlotExtent } from '../slots.js';
import {
  type BinaryOperation,
  describeExtent,
  type Graph,
  type GraphNode,
  hostOperation,
  type NodeExtent,
  operandsOf,
  prunedGraph,
  type Reduction,
  type UnaryOperation,
  written,
} from './graph.js';

/**
 * Records the operations on symbolic values. Equal operations on equal operands become one node, so a subexpression
 * that is written twice is computed once; operations on constants alone become a constant.
 */
export class Tracer implements Recording {
  private readonly nodes: GraphNode[] = [];
  private readonly known = new Map<string, Value>();
  private readonly extents = new Map<string, NodeExtent>();

  /** A tensor that is given at every step; the same name is the same tensor. */
  input(name: string, extent: SlotExtent): Value {
    const known = extentOf(extent, name);
    this.claim(name, known);
    return this.emit({ op: 'input', name, extent: known });
  }

  /** A number that the host computes in float64 at every step; the same name is the same number. */
  scalar(name: string): Value {
    this.claim(name, 'host');
    return this.emit({ op: 'scalar', name, extent: 'host' });
  }

  /** A number that never changes. */
  constant(value: number): Value {
    return this.emit({ op: 'constant', value, extent: 'host' });
  }

  /** @internal */
  operand(operand: Operand, op: string): Value {
    if (typeof operand === 'number') return this.constant(operand);
    if (!(operand instanceof Value) || operand.tracer !== this) {
      throw new InvalidExpressionError({
        parameter: op,
        found: operand instanceof Value ? 'a value of another step' : operand,
        expected: 'a number or a value of the same step',
        advice: 'Inside `step`, compute with the arguments of that call only, not with tensors or kept values.',
      });
    }
    return operand;
  }

  /** One name stands for one thing: a graph is run with its inputs and scalars by name. */
  private claim(name: string, extent: NodeExtent): void {
    const claimed = this.extents.get(name) ?? extent;
    if (claimed !== extent) {
      throw new InvalidExpressionError({
        parameter: name,
        found: describeExtent(extent),
        expected: `${describeExtent(claimed)}, as where the name was first used`,
      });
    }
    this.extents.set(name, extent);
  }

  /** @internal */
  shown(id: number, depth: number): string {
    const node = this.nodes[id]!;
    if (node.op === 'input' || node.op === 'scalar') return node.name;
    if (node.op === 'constant') return String(node.value);
    const operands = operandsOf(node);
    return `${node.op}(${depth === 0 ? '…' : operands.map(operand => this.shown(operand, depth - 1)).join(', ')})`;
  }

  /** @internal */
  emit(operation: GraphNode): Value {
    const node = this.folded(operation);
    const key = keyOf(node);
    const existing = this.known.get(key);
    if (existing !== undefined) return existing;
    const value = new Value(this, this.nodes.push(node) - 1, node.extent);
    this.known.set(key, value);
    return value;
  }

  /** What constants alone determine is a constant. */
  private folded(node: GraphNode): GraphNode {
    if (node.extent !== 'host' || node.op === 'constant' || node.op === 'scalar') return node;
    const constants = new Map<number, number>();
    for (const id of operandsOf(node)) {
      const operand = this.nodes[id]!;
      if (operand.op !== 'constant') return node;
      constants.set(id, operand.value);
    }
    return { op: 'constant', value: hostOperation(node, id => constants.get(id)!), extent: 'host' };
  }

  /**
   * Checks that whoever made a comparison also did something with it. A value in the condition of `?:`, `if` or `&&` is an
   * object, which JavaScript takes for true without asking it: all that remains of the condition is that nothing reads it.
   *
   * @param owner Such as `clippedSign.step`.
   */
  requireUsedComparisons(owner: string, outputs: Readonly<Record<string, Operand>>): void {
    const used = new Set(this.nodes.flatMap(operandsOf));
    for (const output of Object.values(outputs)) if (output instanceof Value) used.add(output.id);
    const unused = this.nodes.find(({ op }, id) => COMPARISONS.has(op) && !used.has(id));
    if (unused === undefined) return;
    throw new InvalidExpressionError({
      parameter: owner,
      found: `a comparison (${unused.op}) whose result nothing uses`,
      expected: 'select(condition, x, y) in the place of condition ? x : y, if (condition) and condition && x',
      advice: 'Remove the comparison if it was not meant as a condition.',
    });
  }

  /**
   * The graph that computes the outputs; operations that no output needs are left out.
   *
   * @param extents The extent each output is wanted in; a narrower result is broadcast to it.
   * @throws InvalidExpressionError when a result has more values than its output.
   */
  graph<K extends string>(outputs: Readonly<Record<K, Operand>>, extents: Readonly<Record<K, SlotExtent>>): Graph {
    const results = Object.entries<Operand>(outputs).map(([name, operand]) => {
      const value = this.operand(operand, name);
      const extent = extentOf(extents[name as K], name);
      if (!broadcastsTo(value.extent, extent)) {
        throw new InvalidExpressionError({
          parameter: name,
          found: describeExtent(value.extent),
          expected: `at most ${describeExtent(extent)}`,
          advice: `Reduce it (mean(${written(extent)}), sum(${written(extent)}) …) or declare the slot with extent ${written(value.extent)}.`,
        });
      }
      return [name, { node: value.id, extent }] as const;
    });
    return prunedGraph(this.nodes, results);
  }
}

const COMPARISONS: ReadonlySet<GraphNode['op']> = new Set(['greater', 'greaterEqual', 'less', 'lessEqual', 'equal']);

/** Equal for equal operations; JSON alone would not tell -0 from 0 or NaN from Infinity. */
function keyOf(node: GraphNode): string {
  return node.op === 'constant' ? `constant ${Object.is(node.value, -0) ? '-0' : node.value}` : JSON.stringify(node);
}

/** A value or a plain number, wherever an operation takes an operand. */
export type Operand = Value | number;

/** Where the operations on values are written down: a `Tracer`. */
interface Recording {
  /** @internal */
  operand(operand: Operand, op: string): Value;
  /** @internal */
  emit(operation: GraphNode): Value;
  /** @internal */
  shown(id: number, depth: number): string;
}

/** What a reduction has one result for. */
export type Per = Exclude<SlotExtent, 'element'>;

const REDUCED: readonly Extent[] = ['tensor', 'row', 'column'];

const MATRICES = 'Matrix algebra and indexing need a rule in tfjs operations: tensorRule() of @frugaljs/core.';
const SYMBOLIC = 'Values are symbolic: `step` runs once, before there are numbers.';

/** Methods of tensors that values do not have, and what does the same. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  pow: 'Write square() for the power 2 and sqrt() for 0.5; of positive values, log().mul(p).exp() is the power p.',
  rsqrt: 'Write sqrt().reciprocal().',
  clipByValue: 'Write maximum(low).minimum(high).',
  relu: 'Write maximum(0).',
  where: 'Write select(condition, x, y), a function of @frugaljs/core.',
  notEqual: 'Write select(x.equal(y), 0, 1).',
  logicalAnd: 'Comparisons are 1 and 0: write mul(other).',
  logicalOr: 'Comparisons are 1 and 0: write maximum(other).',
  logicalNot: 'Comparisons are 1 and 0: write equal(0).',
  squaredDifference: 'Write sub(other).square().',
  norm: 'Write square().sum().sqrt().',
  sigmoid: 'Write neg().exp().add(1).reciprocal().',
  log1p: 'Write add(1).log().',
  expm1: 'Write exp().sub(1).',
  ...Object.fromEntries(
    ['matMul', 'dot', 'transpose', 'reshape', 'slice', 'gather', 'concat', 'argMax', 'cumsum', 'topk'].map(name => [
      name,
      MATRICES,
    ]),
  ),
  ...Object.fromEntries(['dataSync', 'arraySync', 'data', 'array', 'print'].map(name => [name, SYMBOLIC])),
};

/** Says what to write instead, where a TypeError would only say that it is no function. */
class WithoutTensorMethods {}

for (const [method, advice] of Object.entries(ELSEWHERE)) {
  const value = (): never => {
    throw new InvalidExpressionError({
      parameter: `${method}()`,
      found: 'a method that values do not have',
      expected: 'one of the methods of values',
      advice,
    });
  };
  Object.defineProperty(WithoutTensorMethods.prototype, method, { value });
}

/**
 * A symbolic tensor: what a rule's `step` computes with. The methods carry the names and meaning of the tfjs operations;
 * none of them touches data. Comparisons give 1 for true and 0 for false, and are false when an operand is NaN.
 * Operands of different extents broadcast: a per-tensor value to all, a per-row and a per-column value to the matrix, a
 * per-block value to the columns of its block. Blocks of two sizes do not meet in one operation.
 */
export class Value extends WithoutTensorMethods {
  /** @internal */
  constructor(
    readonly tracer: Recording,
    readonly id: number,
    readonly extent: NodeExtent,
  ) {
    super();
  }

  add(other: Operand): Value {
    return this.binary('add', other);
  }
  sub(other: Operand): Value {
    return this.binary('sub', other);
  }
  mul(other: Operand): Value {
    return this.binary('mul', other);
  }
  div(other: Operand): Value {
    return this.binary('div', other);
  }
  /** Quotient, and 0 wherever the divisor is 0. NaN in either operand still gives NaN, but 0 wins over NaN / 0. */
  divNoNan(other: Operand): Value {
    const divisor = this.tracer.operand(other, 'divNoNan');
    return select(divisor.equal(0), 0, this.div(divisor));
  }
  /** The larger operand; NaN when either is NaN. */
  maximum(other: Operand): Value {
    return this.binary('maximum', other);
  }
  /** The smaller operand; NaN when either is NaN. */
  minimum(other: Operand): Value {
    return this.binary('minimum', other);
  }
  greater(other: Operand): Value {
    return this.binary('greater', other);
  }
  greaterEqual(other: Operand): Value {
    return this.binary('greaterEqual', other);
  }
  less(other: Operand): Value {
    return this.binary('less', other);
  }
  lessEqual(other: Operand): Value {
    return this.binary('lessEqual', other);
  }
  equal(other: Operand): Value {
    return this.binary('equal', other);
  }

  neg(): Value {
    return this.unary('neg');
  }
  abs(): Value {
    return this.unary('abs');
  }
  sqrt(): Value {
    return this.unary('sqrt');
  }
  square(): Value {
    return this.unary('square');
  }
  /** -1, 0 or 1; sign(±0) = 0 exactly and sign(NaN) = NaN. */
  sign(): Value {
    return this.unary('sign');
  }
  exp(): Value {
    return this.unary('exp');
  }
  /** Natural logarithm. */
  log(): Value {
    return this.unary('log');
  }
  reciprocal(): Value {
    return this.unary('reciprocal');
  }

  /**
   * Sum of the entries: of all of them, or `'row'` for one sum per row, `'column'` for one per column, `{ block: n }` for
   * one per group of n neighbors along the last axis.
   */
  sum(per: Per = 'tensor'): Value {
    return this.reduce('sum', per);
  }
  /**
   * Mean of the entries, per tensor, row, column or block. That of a block is always the sum by n: what the last block of
   * a row lacks counts as 0.
   */
  mean(per: Per = 'tensor'): Value {
    return this.reduce('mean', per);
  }
  /** Largest entry, per tensor, row, column or block; NaN when one of them is NaN. */
  max(per: Per = 'tensor'): Value {
    return this.reduce('max', per);
  }
  /** Smallest entry, per tensor, row, column or block; NaN when one of them is NaN. */
  min(per: Per = 'tensor'): Value {
    return this.reduce('min', per);
  }

  /** `g * 2` is a compile-time error in TypeScript and would be NaN in JavaScript. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return `value ${this.id}`;
    throw new InvalidExpressionError({
      parameter: 'step',
      found: 'a value in JavaScript arithmetic or a comparison, such as g * 2',
      expected: 'the methods of values, such as g.mul(2) or g.greater(0)',
    });
  }

  private unary(op: UnaryOperation): Value {
    return this.tracer.emit({ op, x: this.id, extent: this.extent });
  }

  private binary(op: BinaryOperation, other: Operand): Value {
    const y = this.tracer.operand(other, op);
    return this.tracer.emit({ op, x: this.id, y: y.id, extent: joinExtents(this.extent, y.extent) });
  }

  /**
   * A reduction of a value with fewer entries than elements reduces its own entries: of a row value one per row, not one
   * per element.
   */
  private reduce(reduction: Reduction, given: Per): Value {
    const per = knownExtent(given);
    // { block: 1 } is per element, and every element its own mean.
    if (per === undefined || (given as Extent) === 'element') {
      throw new InvalidExpressionError({
        parameter: `${reduction}(per)`,
        found: given,
        expected: `one of ${REDUCED.join(', ')}, or { block: n } with a whole n of at least 1`,
        ...didYouMean(given, REDUCED),
      });
    }
    if (this.extent === per || this.extent === 'tensor') return this;
    if (this.extent === 'host' && reduction !== 'sum') return this;
    const isWithin = per === 'tensor' || (per === 'row' && blockSize(this.extent) !== null);
    if (this.extent !== 'element' && (this.extent === 'host' || !isWithin)) {
      throw new InvalidExpressionError({
        parameter: `${reduction}(${written(per)})`,
        found: describeExtent(this.extent),
        expected: 'one value per element',
        advice: 'Combine it with an element-wise value first.',
      });
    }
    return this.tracer.emit({ op: 'reduce', reduction, x: this.id, extent: per });
  }
}

// The expression, down to a few operations.
printedAs(Value.prototype, ({ tracer, id, extent }) => `Value(${tracer.shown(id, 3)}: ${describeExtent(extent)})`);

/** Element-wise choice: `x` where `condition` is not 0 (NaN is not 0), else `y`. */
export function select(condition: Value, x: Operand, y: Operand): Value {
  if (!(condition instanceof Value)) {
    throw new InvalidExpressionError({
      parameter: 'select.condition',
      found: condition,
      expected: 'a value of the step',
      advice: 'Choose between two expressions in plain TypeScript when the condition is known beforehand.',
    });
  }
  const a = condition.tracer.operand(x, 'select');
  const b = condition.tracer.operand(y, 'select');
  const extent = joinExtents(condition.extent, joinExtents(a.extent, b.extent));
  return condition.tracer.emit({ op: 'select', condition: condition.id, x: a.id, y: b.id, extent });
}

const ORDER: readonly NodeExtent[] = ['host', 'tensor', 'row', 'column', 'element'];

/**
 * The extent of a result whose operands have these extents.
 *
 * @throws InvalidExpressionError for blocks of two sizes.
 */
function joinExtents(a: NodeExtent, b: NodeExtent): NodeExtent {
  if (a === b) return a;
  const [first, second] = [blockSize(a), blockSize(b)];
  if (first !== null && second !== null) {
    throw new InvalidExpressionError({
      parameter: 'step',
      found: `${describeExtent(a)} and ${describeExtent(b)} in one operation`,
      expected: 'blocks of one size',
      advice: `Use one n for both, or combine one of them with an element-wise value first.`,
    });
  }
  if (first !== null || second !== null) {
    const [block, other] = first !== null ? [a, b] : [b, a];
    // A block lies within a row, and across columns.
    return other === 'column' || other === 'element' ? 'element' : block;
  }
  const wider = ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b;
  const narrower = wider === a ? b : a;
  return wider === 'column' && narrower === 'row' ? 'element' : wider;
}

/** True when a value of one extent stands for one of the other, each entry for one or more. */
export function broadcastsTo(from: NodeExtent, to: NodeExtent): boolean {
  return from === to || (!(blockSize(from) !== null && blockSize(to) !== null) && joinExtents(from, to) === to);
}
