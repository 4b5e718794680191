import {
  BINARY_OPERATIONS,
  type BinaryOperation,
  blockSize,
  type Extent,
  type Graph,
  type NodeExtent,
  REDUCTIONS,
  type Reduction,
  type Shape,
  select,
  slotShape,
  Tracer,
  UNARY_OPERATIONS,
  type UnaryOperation,
  type Value,
} from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';

/** One line of a random program; operands are indices into the values so far, taken modulo their number. */
export type Instruction =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'unary'; readonly op: UnaryOperation; readonly x: number }
  | { readonly kind: 'binary'; readonly op: BinaryOperation; readonly x: number; readonly y: number }
  | { readonly kind: 'select'; readonly condition: number; readonly x: number; readonly y: number }
  | { readonly kind: 'reduce'; readonly reduction: Reduction; readonly per: Per; readonly x: number };

/** `block` stands for blocks of the size that the program has. */
export type Per = 'tensor' | 'row' | 'column' | 'block';

export interface Program {
  readonly shape: Shape;
  /** Columns in a block. */
  readonly block: number;
  /** Entries of the inputs, used round and round. */
  readonly pool: readonly number[];
  /** Inputs that are given as one number instead of a tensor. */
  readonly filled: readonly string[];
  readonly instructions: readonly Instruction[];
}

/** The inputs of a program and their extents. */
export function inputExtents({ block }: Pick<Program, 'block'>): Readonly<Record<string, Extent>> {
  return { g: 'element', m: 'element', r: 'row', c: 'column', t: 'tensor', p: `block ${block}` };
}
export const SCALARS: readonly string[] = ['a', 'b'];

/** Float32 numbers of the sizes gradients have, and some of those that break things. */
const entry: fc.Arbitrary<number> = fc
  .oneof(
    { weight: 12, arbitrary: fc.integer({ min: -64, max: 64 }).map(x => x / 16) },
    { weight: 6, arbitrary: fc.float({ min: -8, max: 8, noNaN: true }) },
    { weight: 1, arbitrary: fc.constantFrom(0, -0, 1, -1, 1e-20, -1e20) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY) },
  )
  .map(Math.fround);

const operand = fc.nat({ max: 1000 });

const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('constant' as const), value: entry }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('unary' as const),
      op: fc.constantFrom(...UNARY_OPERATIONS),
      x: operand,
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom(...BINARY_OPERATIONS),
      x: operand,
      y: operand,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('select' as const), condition: operand, x: operand, y: operand }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reduce' as const),
      reduction: fc.constantFrom(...REDUCTIONS),
      per: fc.constantFrom<Per>('tensor', 'row', 'column', 'block'),
      x: operand,
    }),
  },
);

// Last axes of more than four hold several blocks, and lanes of a vector that are left over.
export const shapeArbitrary: fc.Arbitrary<Shape> = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
  fc
    .tuple(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }), fc.integer({ min: 5, max: 19 }))
    .map(([before, columns]) => [...before, columns]),
);

export const programArbitrary: fc.Arbitrary<Program> = fc.record({
  shape: shapeArbitrary,
  block: fc.constantFrom(2, 3, 4, 8, 16),
  pool: fc.array(entry, { minLength: 8, maxLength: 24 }),
  filled: fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: fc.subarray(Object.keys(inputExtents({ block: 2 }))) },
  ),
  instructions: fc.array(instruction, { minLength: 1, maxLength: 14 }),
});

/** Entry `i` of input number `ordinal`. */
export function poolEntry({ pool }: Program, ordinal: number, i: number): number {
  return pool[(ordinal * 5 + i * 3) % pool.length]!;
}

/** The per-step numbers of a program; any two of the pool. */
export function scalarsOf({ pool }: Program): Record<string, number> {
  return Object.fromEntries(SCALARS.map((name, i) => [name, pool[pool.length - 1 - i]! / 3]));
}

/** Which reductions have a meaning: of something with several entries, or of something that is its own reduction. */
export function isReducible(extent: NodeExtent, reduction: Reduction, per: Per): boolean {
  if (extent === 'host') return reduction !== 'sum';
  const isBlock = blockSize(extent) !== null;
  if (per === 'row' && isBlock) return true;
  return (
    extent === 'element' || extent === 'tensor' || extent === per || per === 'tensor' || (per === 'block' && isBlock)
  );
}

/** Writes a program down with symbolic values; one value per line that has a meaning, after the inputs and scalars. */
export function trace(program: Program, tracer: Tracer): Value[] {
  const { instructions, block } = program;
  const values = [
    ...Object.entries(inputExtents(program)).map(([name, extent]) => tracer.input(name, extent)),
    ...SCALARS.map(name => tracer.scalar(name)),
  ];
  for (const line of instructions) {
    const at = (index: number) => values[index % values.length]!;
    switch (line.kind) {
      case 'constant':
        values.push(tracer.constant(line.value));
        break;
      case 'unary':
        values.push(at(line.x)[line.op]());
        break;
      case 'binary':
        values.push(at(line.x)[line.op](at(line.y)));
        break;
      case 'select':
        values.push(select(at(line.condition), at(line.x), at(line.y)));
        break;
      case 'reduce':
        if (isReducible(at(line.x).extent, line.reduction, line.per)) {
          values.push(at(line.x)[line.reduction](line.per === 'block' ? { block } : line.per));
        }
        break;
    }
  }
  return values;
}

/** The extents that a value can be spread out to. */
function widerExtents(extent: NodeExtent, { block }: Program): readonly Extent[] {
  const blocks: Extent = `block ${block}`;
  switch (extent) {
    case 'host':
    case 'tensor':
      return ['tensor', 'row', 'column', 'element', blocks];
    case 'row':
      return ['row', 'element', blocks];
    case 'element':
      return ['element'];
    default:
      return [extent, 'element'];
  }
}

/** The graph of a program with its last values as outputs. */
export interface TracedProgram {
  readonly graph: Graph;
  readonly values: readonly Value[];
  /** Which of the values comes out first; the others follow it, one each. */
  readonly first: number;
  readonly names: readonly string[];
  /** The extents of the outputs: those of the values, or wider ones. */
  readonly extents: Readonly<Record<string, Extent>>;
}

/** Traces a program; `widening` chooses how far its outputs are spread out. */
export function graphOf(program: Program, widening: number): TracedProgram {
  const tracer = new Tracer();
  const values = trace(program, tracer);
  const first = Math.max(0, values.length - 5);
  const names = values.slice(first).map((_, i) => `output${i}`);
  const extents = Object.fromEntries(
    names.map((name, i) => {
      const choices = widerExtents(values[first + i]!.extent, program);
      return [name, choices[(widening + i) % choices.length]!];
    }),
  );
  const outputs = Object.fromEntries(names.map((name, i) => [name, values[first + i]!]));
  return { graph: tracer.graph(outputs, extents), values, first, names, extents };
}

/** The inputs of a program, filled from its pool. */
export function inputsOf(program: Program): Record<string, Tensor | number> {
  return Object.fromEntries(
    Object.entries(inputExtents(program)).map(([name, extent], ordinal) => {
      if (program.filled.includes(name)) return [name, poolEntry(program, ordinal, 0)];
      const shape = [...slotShape(extent, program.shape)];
      const columns = program.shape.at(-1) ?? 1;
      const entries = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
        poolEntry(program, ordinal, extent === 'column' ? i % columns : i),
      );
      return [name, tensor(entries, shape, 'float32')];
    }),
  );
}
