import {
  type Extent,
  type GraphNode,
  hostValues,
  matrixView,
  needsMatrixView,
  type Shape,
  sameShape,
  sizeOf,
  slotShape,
} from '@frugaljs/core';
import type { Cell } from './eager.js';
import { type Accumulation, type AdamPattern, type ExecutionPlan, type ExecutionStep, weightRatio } from './steps.js';
import type { Operand, TensorFlow } from './tensorflow.js';
import { WORTH_A_VARIABLE } from './variables.js';

/** The value of a node while a graph is run. */
interface Value extends Operand {
  /** Made here and to be deleted here; what is given belongs to the caller. */
  readonly temporary: boolean;
}

/** What becomes of the inputs of a graph. */
export interface GraphRun {
  readonly plan: ExecutionPlan;
  readonly inputs: Readonly<Record<string, Operand | number>>;
  readonly scalars: Readonly<Record<string, number>>;
  /** Shape of the element-wise values. */
  readonly shape: Shape;
  /** By output: the input that is written over; its cell then holds the result. */
  readonly overwrite: Readonly<Record<string, string>>;
}

/**
 * One run of a graph. Handles of TensorFlow are never written: results get handles of their own. Only where a handle is
 * about to be let go anyway is its buffer given to a training operation, which writes it in place if TensorFlow knows of
 * no other holder.
 */
export class Execution {
  private readonly values = new Map<number, Value>();
  private readonly host: readonly (number | undefined)[];
  private readonly layout: Shape;

  constructor(
    private readonly tensorflow: TensorFlow,
    private readonly request: GraphRun,
  ) {
    const { scalars, shape, inputs } = request;
    const { graph } = request.plan;
    this.host = hostValues(graph, scalars);
    this.layout = needsMatrixView(graph) ? matrixView(shape) : shape;
    graph.nodes.forEach((node, id) => {
      if (node.op === 'input') this.values.set(id, this.input(inputs[node.name]!, node.extent));
    });
  }

  /** @returns A handle for each output that is not written over an input. */
  run(): Record<string, number> {
    const { plan } = this.request;
    try {
      plan.steps.forEach((step, i) => {
        const dying = plan.dying[i]!;
        this.take(step, dying);
        for (const id of dying) this.release(id);
      });
      return this.results();
    } finally {
      for (const id of [...this.values.keys()]) this.release(id);
    }
  }

  private take(step: ExecutionStep, dying: readonly number[]): void {
    if (step.kind === 'adam') this.adam(step.adam, dying);
    else if (step.kind === 'accumulate') this.accumulate(step.sum, dying);
    else this.put(step.node, this.operation(this.request.plan.graph.nodes[step.node]!, step.node));
  }

  private input(given: Operand | number, extent: Extent): Value {
    const { eager } = this.tensorflow;
    if (typeof given === 'number') return { cell: { id: eager.scalar(given) }, shape: [], temporary: false };
    const layout = slotShape(extent, this.layout);
    if (sameShape(given.shape, layout)) return { ...given, temporary: false };
    return { cell: eager.reshape(given.cell.id, layout), shape: layout, temporary: true };
  }

  private put(node: number, { cell, shape }: Operand): void {
    this.values.set(node, { cell, shape, temporary: true });
  }

  private release(node: number): void {
    const value = this.values.get(node);
    if (value === undefined) return;
    if (value.temporary) this.tensorflow.eager.delete(value.cell.id);
    this.values.delete(node);
  }

  /** The handle of an operand; numbers of the host become float32. */
  private id(node: number): number {
    const number = this.host[node];
    return number === undefined ? this.values.get(node)!.cell.id : this.tensorflow.eager.scalar(number);
  }

  private operation(node: GraphNode, position: number): Operand {
    switch (node.op) {
      case 'select':
        return this.select(node.condition, node.x, node.y);
      case 'reduce':
        return this.reduce(node);
      case 'input':
      case 'scalar':
      case 'constant':
        throw new Error(`${node.op} is no operation`);
      default:
        return 'y' in node
          ? this.tensorflow.binary(
              node.op,
              this.id(node.x),
              this.id(node.y),
              this.request.plan.conditions.has(position),
            )
          : this.tensorflow.unary(node.op, this.id(node.x));
    }
  }

  private select(condition: number, x: number, y: number): Operand {
    const isTruth = this.request.plan.conditions.has(condition);
    return this.tensorflow[isTruth ? 'choose' : 'select'](this.id(condition), this.id(x), this.id(y));
  }

  private reduce({ reduction, extent: per, x }: GraphNode & { readonly op: 'reduce' }): Operand {
    const value = this.values.get(x)!;
    const { extent } = this.request.plan.graph.nodes[x]!;
    const whole = this.tensorflow.spread(value, slotShape(extent as Extent, this.layout));
    const result = this.tensorflow.reduce(reduction, per, whole);
    if (whole !== value) this.tensorflow.eager.delete(whole.cell.id);
    return result;
  }

  private accumulate(sum: Accumulation, dying: readonly number[]): void {
    const { signOf, addend, factor, sign } = sum;
    const number = sign * this.host[factor]!;
    if (signOf === null) {
      this.addMultiple(sum, this.values.get(addend)!, number, dying);
      return;
    }
    const x = this.id(signOf);
    const scaled = this.tensorflow.sign.inUnits(x, number);
    const cell = scaled?.value ?? this.tensorflow.unary('sign', x).cell;
    try {
      const addend = { cell, shape: this.values.get(signOf)!.shape };
      this.addMultiple(sum, addend, number / (scaled?.unit ?? 1), dying);
    } finally {
      this.tensorflow.eager.delete(cell.id);
    }
  }

  private addMultiple({ result, base }: Accumulation, addend: Operand, number: number, dying: readonly number[]): void {
    const { eager } = this.tensorflow;
    const isLarge = sizeOf(this.layout) >= WORTH_A_VARIABLE;
    const fits = [this.values.get(base)!, addend].every(({ shape }) => sameShape(shape, this.layout));
    if (isLarge && fits && this.isFree(base, result, dying)) {
      this.update([[base, result]], ([variable]) => {
        eager.call('ResourceApplyGradientDescent', [variable!, eager.scalar(-number), addend.cell.id]);
      });
      return;
    }
    const product = this.tensorflow.run('Mul', addend.cell.id, eager.scalar(Math.abs(number)));
    this.put(result, this.tensorflow.run(number < 0 ? 'Sub' : 'AddV2', this.id(base), product.cell.id));
    eager.delete(product.cell.id);
  }

  private adam(adam: AdamPattern, dying: readonly number[]): void {
    const { eager } = this.tensorflow;
    const { result, base, sign, factors, gradient, m, v } = adam;
    if (base === null) this.put(result, this.tensorflow.run('ZerosLike', this.id(gradient)));
    const correction = (adam.correction === null ? 1 : this.host[adam.correction]!) * Math.sqrt(weightRatio(v.decay));
    const factor = factors.reduce(
      (product, node) => product * this.host[node]!,
      this.host[adam.numerator]! * weightRatio(m.decay),
    );
    const numbers = [0, 0, (-sign * factor) / correction, m.decay, v.decay, this.host[adam.epsilon]! / correction];
    const cells: [number, number][] = [
      [base ?? result, result],
      [m.previous, m.next],
      [v.previous, v.next],
    ];
    for (const [from, to] of cells) {
      // TensorFlow copies what the caller keeps.
      if (from !== to && !this.isFree(from, to, dying)) this.put(to, this.tensorflow.run('Identity', this.id(from)));
    }
    const scalars = numbers.map(number => eager.scalar(number));
    this.update(cells, handles => {
      eager.call('ResourceApplyAdam', [...handles, ...scalars, this.id(gradient)]);
    });
  }

  /**
   * True when a node's buffer may be given to an update whose result is another node: nobody reads it afterwards, and it
   * was made here or is an input that this very result is written over.
   */
  private isFree(from: number, to: number, dying: readonly number[]): boolean {
    if (!dying.includes(from)) return false;
    const { overwrite, inputs, plan } = this.request;
    const { graph } = plan;
    const value = this.values.get(from)!;
    if (value.temporary) return true;
    const node = graph.nodes[from]!;
    if (node.op !== 'input' || typeof inputs[node.name] === 'number') return false;
    return Object.entries(graph.outputs).some(
      ([name, output]) => output.node === to && overwrite[name] === node.name && output.extent === node.extent,
    );
  }

  /** Lets an operation update buffers: that of each first node becomes that of the second. */
  private update(cells: readonly (readonly [number, number])[], apply: (variables: readonly number[]) => void): void {
    const { ownership, variables } = this.tensorflow;
    for (const [from, to] of cells) {
      if (from === to || this.values.has(to)) continue;
      const value = this.values.get(from)!;
      if (!value.temporary) ownership.claim(value.cell);
      this.values.set(to, value);
      this.values.delete(from);
    }
    const updated = cells.map(([, to]) => this.values.get(to)!);
    variables.update(
      updated.map(({ cell }) => cell),
      apply,
    );
    for (const { cell, temporary } of updated) if (!temporary) ownership.record(cell);
  }

  private results(): Record<string, number> {
    const { overwrite, inputs, shape, plan } = this.request;
    const { graph } = plan;
    const fresh: Record<string, number> = {};
    const replaced: [Cell, number][] = [];
    const isTaken = new Set<number>();
    for (const [name, { node, extent }] of Object.entries(graph.outputs)) {
      const over = overwrite[name];
      const target = over === undefined ? null : (inputs[over] as Operand).cell;
      // Written in place already.
      if (target !== null && this.values.get(node)?.cell === target && !this.isInput(node)) continue;
      const stored = over === undefined ? slotShape(extent, shape) : (inputs[over] as Operand).shape;
      const id = this.output(node, extent, isTaken, stored);
      if (target === null) fresh[name] = id;
      else replaced.push([target, id]);
    }
    // Last, since an output may be an input unchanged.
    for (const [target, id] of replaced) {
      this.tensorflow.eager.delete(target.id);
      target.id = id;
      this.tensorflow.ownership.record(target);
    }
    for (const node of isTaken) this.values.delete(node);
    return fresh;
  }

  private isInput(node: number): boolean {
    return this.request.plan.graph.nodes[node]!.op === 'input';
  }

  /** A handle for the caller, in the shape in which the output is stored. */
  private output(node: number, extent: Extent, isTaken: Set<number>, stored: Shape): number {
    const { eager } = this.tensorflow;
    const number = this.host[node];
    const value: Value =
      number === undefined
        ? this.values.get(node)!
        : { cell: { id: eager.scalar(number) }, shape: [], temporary: false };
    const whole = this.tensorflow.spread(value, slotShape(extent, this.layout));
    const isOwn = whole !== value || (value.temporary && !isTaken.has(node));
    if (whole === value && isOwn) isTaken.add(node);
    if (sameShape(whole.shape, stored)) return isOwn ? whole.cell.id : this.copy(whole);
    const own = isOwn ? whole.cell.id : this.copy(whole);
    const shaped = eager.reshape(own, stored);
    eager.delete(own);
    return shaped.id;
  }

  /** A buffer of its own for an output that is an input, or another output, as it is. */
  private copy({ cell }: Operand): number {
    return this.tensorflow.eager.run('DeepCopy', [cell.id]).id;
  }
}
