import {
  type BinaryOperation,
  type Extent,
  type Reduction,
  type Shape,
  sameShape,
  type UnaryOperation,
} from '@frugaljs/core';
import type { Cell } from './eager.js';
import type { TensorFlow } from './tensorflow.js';

/** A tensor that a graph is run on. */
export interface Operand {
  readonly cell: Cell;
  readonly shape: Shape;
}

const UNARY: Readonly<Record<Exclude<UnaryOperation, 'sign'>, string>> = {
  neg: 'Neg',
  abs: 'Abs',
  sqrt: 'Sqrt',
  square: 'Square',
  exp: 'Exp',
  log: 'Log',
  reciprocal: 'Reciprocal',
};

const ARITHMETIC = {
  add: 'AddV2',
  sub: 'Sub',
  mul: 'Mul',
  div: 'RealDiv',
  maximum: 'Maximum',
  minimum: 'Minimum',
} as const;

const COMPARISON = {
  greater: 'Greater',
  greaterEqual: 'GreaterEqual',
  less: 'Less',
  lessEqual: 'LessEqual',
  equal: 'Equal',
} as const;

const REDUCTION: Readonly<Record<Reduction, string>> = { sum: 'Sum', mean: 'Mean', max: 'Max', min: 'Min' };

/** The operations of a graph as operations of TensorFlow, with the meaning that graphs give them. Results are new. */
export class NodeOperations {
  constructor(private readonly tensorflow: TensorFlow) {}

  run(name: string, ...inputs: readonly number[]): Operand {
    const { eager } = this.tensorflow;
    const output = eager.run(name, inputs);
    return { cell: output, shape: output.shape };
  }

  unary(op: UnaryOperation, x: number): Operand {
    return op === 'sign' ? this.sign(x) : this.run(UNARY[op], x);
  }

  /** @param asTruth Whether a comparison may give truth values, for {@link choose}, instead of the numbers 0 and 1. */
  binary(op: BinaryOperation, x: number, y: number, asTruth: boolean): Operand {
    const { eager, keepsNaN } = this.tensorflow;
    if (op in ARITHMETIC) {
      const name = ARITHMETIC[op as keyof typeof ARITHMETIC];
      const result = this.run(name, x, y);
      const losesNaN = (name === 'Maximum' || name === 'Minimum') && !keepsNaN[name];
      return losesNaN ? this.unlessNaN(x, this.unlessNaN(y, result)) : result;
    }
    const truth = this.run(COMPARISON[op as keyof typeof COMPARISON], x, y);
    if (asTruth) return truth;
    const cast = eager.run('Cast', [truth.cell.id], [eager.type('DstT')]);
    eager.delete(truth.cell.id);
    return { cell: cast, shape: cast.shape };
  }

  /** x where a number is not 0, else y. */
  select(condition: number, x: number, y: number): Operand {
    const { eager } = this.tensorflow;
    const truth = eager.run('NotEqual', [condition, eager.scalar(0)]);
    const result = this.choose(truth.id, x, y);
    eager.delete(truth.id);
    return result;
  }

  choose(truth: number, x: number, y: number): Operand {
    return this.run('SelectV2', truth, x, y);
  }

  /** Of a value in the shape of its extent. */
  reduce(reduction: Reduction, per: Extent, whole: Operand): Operand {
    const { eager } = this.tensorflow;
    const axes = per === 'row' ? [1] : per === 'column' ? [0] : whole.shape.map((_, axis) => axis);
    const output = eager.run(
      REDUCTION[reduction],
      [whole.cell.id, eager.int32(axes)],
      [eager.boolean('keep_dims', per !== 'tensor')],
    );
    return { cell: output, shape: output.shape };
  }

  /** A value in its full shape, where a number or a vector stands for more entries; the same one if it is full. */
  spread<T extends Operand>(value: T, shape: Shape): T | Operand {
    const { eager } = this.tensorflow;
    if (sameShape(value.shape, shape)) return value;
    return { cell: eager.run('BroadcastTo', [value.cell.id, eager.int32(shape)]), shape };
  }

  private sign(x: number): Operand {
    const output = this.tensorflow.sign.of(x);
    const result = { cell: output, shape: output.shape };
    return this.tensorflow.keepsNaN.Sign ? result : this.unlessNaN(x, result);
  }

  /** x where x is NaN, else `other`, which is deleted. */
  private unlessNaN(x: number, other: Operand): Operand {
    const { eager } = this.tensorflow;
    const lost = eager.run('IsNan', [x]);
    const result = this.choose(lost.id, x, other.cell.id);
    eager.delete(lost.id);
    eager.delete(other.cell.id);
    return result;
  }
}
