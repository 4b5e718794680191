import {
  type BinaryOperation,
  type Extent,
  type Reduction,
  type Shape,
  sameShape,
  type UnaryOperation,
} from '@frugaljs/core';
import { type Attribute, type Cell, Eager, type NodeBackend, type Output } from './eager.js';
import { Ownership, Variables } from './variables.js';

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

/**
 * One TensorFlow as kernels need it: the operations of a graph, with the meaning that graphs give them, whatever this build
 * makes of NaN; and variables to update in place. Results are new.
 */
export class TensorFlow {
  readonly eager: Eager;
  readonly variables: Variables;
  readonly ownership: Ownership;
  readonly sign: Sign;
  /** Whether signs, Maximum and Minimum give NaN for NaN; some builds give 0 or the other operand. */
  readonly keepsNaN: Readonly<Record<'Sign' | 'Maximum' | 'Minimum', boolean>>;
  /** The same of the largest and the smallest entry. */
  readonly reducesNaN: Readonly<Record<'Max' | 'Min', boolean>>;

  constructor(backend: NodeBackend) {
    this.eager = new Eager(backend);
    this.variables = new Variables(this.eager);
    this.ownership = new Ownership(this.eager);
    this.sign = new Sign(this.eager);
    const probe = new NaNProbe(this.eager);
    this.keepsNaN = {
      Sign: probe.sign(this.sign),
      Maximum: probe.extremum('Maximum'),
      Minimum: probe.extremum('Minimum'),
    };
    this.reducesNaN = { Max: probe.reduction('Max'), Min: probe.reduction('Min') };
  }

  /** An operation by its own name. */
  run(name: string, ...inputs: readonly number[]): Operand {
    const output = this.eager.run(name, inputs);
    return { cell: output, shape: output.shape };
  }

  unary(op: UnaryOperation, x: number): Operand {
    return op === 'sign' ? this.signs(x) : this.run(UNARY[op], x);
  }

  /** @param asTruth Whether a comparison may give truth values, for {@link choose}, instead of the numbers 0 and 1. */
  binary(op: BinaryOperation, x: number, y: number, asTruth: boolean): Operand {
    const { eager, keepsNaN } = this;
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
    const { eager } = this;
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
    const { eager } = this;
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
    const { eager } = this;
    if (sameShape(value.shape, shape)) return value;
    return { cell: eager.run('BroadcastTo', [value.cell.id, eager.int32(shape)]), shape };
  }

  private signs(x: number): Operand {
    const output = this.sign.of(x);
    const result = { cell: output, shape: output.shape };
    return this.keepsNaN.Sign ? result : this.unlessNaN(x, result);
  }

  /** x where x is NaN, else `other`, which is deleted. */
  private unlessNaN(x: number, other: Operand): Operand {
    const { eager } = this;
    const lost = eager.run('IsNan', [x]);
    const result = this.choose(lost.id, x, other.cell.id);
    eager.delete(lost.id);
    eager.delete(other.cell.id);
    return result;
  }
}

/** Tries what operations make of NaN. */
class NaNProbe {
  constructor(private readonly eager: Eager) {}

  sign(sign: Sign): boolean {
    const x = this.nan(0, () => true);
    const kept = this.isNaN(sign.of(x));
    this.eager.delete(x);
    return kept;
  }

  extremum(name: 'Maximum' | 'Minimum'): boolean {
    const x = this.nan(1, i => i % 2 === 0);
    const y = this.nan(1, i => i % 2 === 1);
    const kept = this.isNaN(this.eager.run(name, [x, y]));
    this.eager.delete(x);
    this.eager.delete(y);
    return kept;
  }

  reduction(name: 'Max' | 'Min'): boolean {
    return [0, 18, 36].every(position => {
      const x = this.nan(1, i => i === position);
      const kept = this.isNaN(this.eager.run(name, [x, this.eager.int32([0])]));
      this.eager.delete(x);
      return kept;
    });
  }

  private isNaN(output: Output): boolean {
    const { binding } = this.eager.backend;
    const values = Array.from(binding.tensorDataSync(output.id));
    this.eager.delete(output.id);
    return values.length > 0 && values.every(Number.isNaN);
  }

  /** As many entries as vector instructions take at once, and some more. */
  private nan(fill: number, at: (i: number) => boolean): number {
    const { binding } = this.eager.backend;
    const values = Float32Array.from({ length: 37 }, (_, i) => (at(i) ? Number.NaN : fill));
    return binding.createTensor([values.length], binding.TF_FLOAT, values);
  }
}

/** The smallest number that is not zero in TensorFlow: every other one, limited to it and its negative, is one of them. */
const SMALLEST = 2 ** -126;

/** The largest float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** The first TensorFlow whose Sign and ClipByValue use vector instructions on processors. */
const VECTORIZED = [2, 12] as const;

/**
 * The sign of every entry: -1, 0 or 1. On processors the operation Sign of older builds, such as the 2.9.1 that tfjs-node
 * 4.22 downloads, decides entry by entry; there two other operations that have the same result take a third of its time.
 */
export class Sign {
  /** Whether {@link of} takes two operations, because TensorFlow is old. */
  readonly takesTwo: boolean;
  /** For the quantization to -SMALLEST, 0 and SMALLEST, which old builds do faster than they clip. */
  private readonly levels: readonly Attribute[];
  private limitsExactly: boolean | null = null;

  constructor(private readonly eager: Eager) {
    const { binding, isUsingGpuDevice } = eager.backend;
    this.takesTwo = !isUsingGpuDevice && isBefore(binding.TF_Version, VECTORIZED);
    const bound = (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_FLOAT, value });
    this.levels = [
      ...[bound('min', -SMALLEST), bound('max', SMALLEST)],
      ...[eager.integer('num_bits', 2), eager.boolean('narrow_range', true)],
    ];
  }

  of(x: number): Output {
    const { eager } = this;
    if (!this.takesTwo || !this.isExact()) return eager.run('Sign', [x]);
    const limited = this.limited(x);
    const sign = eager.run('Mul', [limited.id, eager.scalar(1 / SMALLEST)]);
    eager.delete(limited.id);
    return sign;
  }

  /**
   * The sign of every entry times a unit that is a power of two, in one operation, for whoever multiplies it by a number
   * anyway: that number is divided by the unit, which changes no digit of the product.
   *
   * @param factor The number.
   * @returns `null` when this is not possible: divided by the unit the number would be infinite, or TensorFlow limits
   * numbers in another way.
   */
  inUnits(x: number, factor: number): { readonly value: Output; readonly unit: number } | null {
    if (Math.abs(factor) / SMALLEST > LARGEST || !this.isExact()) return null;
    return { value: this.limited(x), unit: SMALLEST };
  }

  private limited(x: number): Output {
    const { eager } = this;
    if (this.takesTwo) return eager.run('FakeQuantWithMinMaxArgs', [x], this.levels);
    return eager.run('ClipByValue', [x, eager.scalar(-SMALLEST), eager.scalar(SMALLEST)]);
  }

  /** Some builds may lose NaN, and devices the smallest numbers. */
  private isExact(): boolean {
    this.limitsExactly ??= this.tryLimits();
    return this.limitsExactly;
  }

  private tryLimits(): boolean {
    const { eager } = this;
    const { binding } = eager.backend;
    // More than vector instructions take at once.
    const given = Float32Array.from({ length: 41 }, (_, i) => [Number.NaN, SMALLEST, -1, 0, Infinity][i % 5]!);
    const x = binding.createTensor([given.length], binding.TF_FLOAT, given.slice());
    const limited = this.limited(x);
    const found = binding.tensorDataSync(limited.id);
    for (const id of [x, limited.id]) eager.delete(id);
    return given.every((value, i) => Object.is(found[i], Math.sign(value) * SMALLEST));
  }
}

/** Versions that say nothing of themselves are taken for new ones. */
function isBefore(version: string | undefined, [major, minor]: readonly [number, number]): boolean {
  const found = /^(\d+)\.(\d+)/
    .exec(version ?? '')
    ?.slice(1)
    .map(Number);
  return found !== undefined && (found[0]! < major || (found[0] === major && found[1]! < minor));
}
