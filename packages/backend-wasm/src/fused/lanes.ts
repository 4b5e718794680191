import { Code, encode, type Operand, unsigned } from '@frugaljs/wasm-assembly';

const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];
const unary =
  (opcode: number) =>
  (x: Operand): Code =>
    new Code([...encode(x), ...simd(opcode)]);
const binary =
  (opcode: number) =>
  (a: Operand, b: Operand): Code =>
    new Code([...encode(a), ...encode(b), ...simd(opcode)]);

/** Operations on four float32 lanes by their names in an expression graph. `min` and `max` give NaN if either is. */
export const LANE_UNARY: Readonly<Record<'neg' | 'abs' | 'sqrt', (x: Operand) => Code>> = {
  abs: unary(0xe0),
  neg: unary(0xe1),
  sqrt: unary(0xe3),
};

export const LANE_BINARY: Readonly<
  Record<'add' | 'sub' | 'mul' | 'div' | 'minimum' | 'maximum', (a: Operand, b: Operand) => Code>
> = {
  add: binary(0xe4),
  sub: binary(0xe5),
  mul: binary(0xe6),
  div: binary(0xe7),
  minimum: binary(0xe8),
  maximum: binary(0xe9),
};

/** Comparisons: all bits of a lane are 1 for true and 0 for false; false when an operand is NaN. */
export const LANE_COMPARE: Readonly<
  Record<'equal' | 'less' | 'greater' | 'lessEqual' | 'greaterEqual' | 'notEqual', (a: Operand, b: Operand) => Code>
> = {
  equal: binary(0x41),
  notEqual: binary(0x42),
  less: binary(0x43),
  greater: binary(0x44),
  lessEqual: binary(0x45),
  greaterEqual: binary(0x46),
};

export const laneAnd: (a: Operand, b: Operand) => Code = binary(0x4e);
export const laneOr: (a: Operand, b: Operand) => Code = binary(0x50);

/** Bits of `a` where `mask` is 1, else of `b`. */
export function laneSelect(a: Operand, b: Operand, mask: Operand): Code {
  return new Code([...encode(a), ...encode(b), ...encode(mask), ...simd(0x52)]);
}

/** The same number in all lanes. */
export function laneConstant(value: number): Code {
  const bytes = new Uint8Array(new Float32Array([value, value, value, value]).buffer);
  return new Code([...simd(0x0c), ...bytes]);
}

/** All bits of the first lane 1, the others 0. */
export const FIRST_LANE: Code = new Code([...simd(0x0c), 255, 255, 255, 255, ...new Array<number>(12).fill(0)]);

/** Loads 32 bits into the first lane and clears the others. */
export function loadFirstLane(address: Operand): Code {
  return new Code([...encode(address), ...simd(0x5c), 2, 0]);
}

/** Replaces one lane of `vector` by 32 bits from memory. */
export function loadLane(address: Operand, vector: Operand, lane: number): Code {
  return new Code([...encode(address), ...encode(vector), ...simd(0x56), 2, 0, lane]);
}

/** Stores one lane. */
export function storeLane(address: Operand, vector: Operand, lane: number): Code {
  return new Code([...encode(address), ...encode(vector), ...simd(0x5a), 2, 0, lane]);
}

/** The two lower (or, after a shuffle, upper) float32 lanes as float64. */
export const promoteLow: (x: Operand) => Code = unary(0x5f);

/** The same 32-bit integer in all lanes. */
export function laneIntegers(value: number): Code {
  return new Code([...simd(0x0c), ...new Uint8Array(new Int32Array([value, value, value, value]).buffer)]);
}

/** The larger of two unsigned 32-bit integers, lane by lane. */
export const i32x4MaxU: (a: Operand, b: Operand) => Code = binary(0xb9);

/** Addition of two float64 lanes. */
export const f64x2: { readonly add: (a: Operand, b: Operand) => Code } = { add: binary(0xf0) };
