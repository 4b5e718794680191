/**
 * WebAssembly instructions as functions from operands to code.
 * Names and numbers follow the WebAssembly core specification 2.0, section 5.4. Memory instructions carry no alignment
 * promise, so any byte offset is legal.
 */

/** A piece of WebAssembly code: encoded instructions that may leave a value on the stack. */
export class Code {
  readonly bytes: readonly number[];

  constructor(bytes: readonly number[]) {
    this.bytes = bytes;
  }
}

/** An argument of an instruction: code that leaves one value, or an integer that stands for `i32.const`. */
export type Operand = Code | number;

/** LEB128 encoding of an unsigned 32-bit integer. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** LEB128 encoding of a signed 32-bit integer. */
export function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const signBit = low & 0x40;
    if ((rest === 0 && signBit === 0) || (rest === -1 && signBit !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

/** The bytes of an operand. */
export function encode(operand: Operand): readonly number[] {
  return typeof operand === 'number' ? [0x41, ...signed(operand)] : operand.bytes;
}

/** Statements one after the other. */
export function sequence(...parts: readonly Code[]): Code {
  return new Code(parts.flatMap(part => part.bytes));
}

type Unary = (x: Operand) => Code;
type Binary = (a: Operand, b: Operand) => Code;
type Load = (address: Operand, offset?: number) => Code;
type Store = (address: Operand, value: Operand, offset?: number) => Code;

const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];
const unary =
  (...opcode: number[]): Unary =>
  x =>
    new Code([...encode(x), ...opcode]);
const binary =
  (...opcode: number[]): Binary =>
  (a, b) =>
    new Code([...encode(a), ...encode(b), ...opcode]);
const load =
  (...opcode: number[]): Load =>
  (address, offset = 0) =>
    new Code([...encode(address), ...opcode, 0, ...unsigned(offset)]);
const store =
  (...opcode: number[]): Store =>
  (address, value, offset = 0) =>
    new Code([...encode(address), ...encode(value), ...opcode, 0, ...unsigned(offset)]);

interface I32 {
  readonly eq: Binary;
  readonly ne: Binary;
  readonly ltU: Binary;
  readonly geU: Binary;
  readonly gtU: Binary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly divU: Binary;
  readonly and: Binary;
  readonly shl: Binary;
  readonly shrU: Binary;
  readonly load: Load;
  readonly load8U: Load;
  readonly store: Store;
  readonly store8: Store;
}

export const i32: I32 = {
  eq: binary(0x46),
  ne: binary(0x47),
  ltU: binary(0x49),
  geU: binary(0x4f),
  gtU: binary(0x4b),
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  divU: binary(0x6e),
  and: binary(0x71),
  shl: binary(0x74),
  shrU: binary(0x76),
  load: load(0x28),
  load8U: load(0x2d),
  store: store(0x36),
  store8: store(0x3a),
};

interface F32 {
  const(value: number): Code;
  readonly ne: Binary;
  readonly add: Binary;
  readonly mul: Binary;
  readonly load: Load;
  readonly store: Store;
}

export const f32: F32 = {
  const: value => new Code([0x43, ...new Uint8Array(new Float32Array([value]).buffer)]),
  ne: binary(0x5c),
  add: binary(0x92),
  mul: binary(0x94),
  load: load(0x2a),
  store: store(0x38),
};

interface F64 {
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly load: Load;
  readonly store: Store;
}

export const f64: F64 = {
  add: binary(0xa0),
  sub: binary(0xa1),
  mul: binary(0xa2),
  load: load(0x2b),
  store: store(0x39),
};

interface V128 {
  readonly zero: Code;
  readonly load: Load;
  /** Loads one 32-bit value into all four lanes. */
  readonly load32Splat: Load;
  readonly store: Store;
  /** Stores the first lane only. */
  readonly store32Lane0: Store;
  /** Picks four of the eight 32-bit lanes of `a` (0–3) and `b` (4–7). */
  shuffle32(a: Operand, b: Operand, lanes: readonly [number, number, number, number]): Code;
}

export const v128: V128 = {
  zero: new Code([...simd(0x0c), ...new Array<number>(16).fill(0)]),
  load: load(...simd(0x00)),
  load32Splat: load(...simd(0x09)),
  store: store(...simd(0x0b)),
  store32Lane0: (address, value, offset = 0) =>
    new Code([...encode(address), ...encode(value), ...simd(0x5a), 0, ...unsigned(offset), 0]),
  shuffle32: (a, b, lanes) => {
    const bytes = lanes.flatMap(lane => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
    return new Code([...encode(a), ...encode(b), ...simd(0x0d), ...bytes]);
  },
};

interface F32x4 {
  readonly splat: Unary;
  lane0(x: Operand): Code;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  /** `b < a ? b : a`: NaN in `a` survives. */
  readonly pmin: Binary;
  /** `a < b ? b : a`: NaN in `a` survives. */
  readonly pmax: Binary;
}

export const f32x4: F32x4 = {
  splat: unary(...simd(0x13)),
  lane0: x => new Code([...encode(x), ...simd(0x1f), 0]),
  add: binary(...simd(0xe4)),
  sub: binary(...simd(0xe5)),
  mul: binary(...simd(0xe6)),
  pmin: binary(...simd(0xea)),
  pmax: binary(...simd(0xeb)),
};

interface F64x2 {
  readonly splat: Unary;
  lane(x: Operand, lane: 0 | 1): Code;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
}

export const f64x2: F64x2 = {
  splat: unary(...simd(0x14)),
  lane: (x, lane) => new Code([...encode(x), ...simd(0x21), lane]),
  add: binary(...simd(0xf0)),
  sub: binary(...simd(0xf1)),
  mul: binary(...simd(0xf2)),
};

interface I32x4 {
  readonly splat: Unary;
  /** Lanes shifted left by a scalar count. */
  readonly shl: Binary;
  /** Lanes shifted right by a scalar count, keeping the sign. */
  readonly shrS: Binary;
  readonly add: Binary;
  readonly sub: Binary;
}

export const i32x4: I32x4 = {
  splat: unary(...simd(0x11)),
  shl: binary(...simd(0xab)),
  shrS: binary(...simd(0xac)),
  add: binary(...simd(0xae)),
  sub: binary(...simd(0xb1)),
};

interface Memory {
  copy(to: Operand, from: Operand, bytes: Operand): Code;
  fill(to: Operand, byte: Operand, bytes: Operand): Code;
}

export const memory: Memory = {
  copy: (to, from, bytes) => new Code([...encode(to), ...encode(from), ...encode(bytes), 0xfc, 0x0a, 0, 0]),
  fill: (to, byte, bytes) => new Code([...encode(to), ...encode(byte), ...encode(bytes), 0xfc, 0x0b, 0]),
};

/** `condition ? a : b`; both are evaluated. */
export function select(a: Operand, b: Operand, condition: Operand): Code {
  return new Code([...encode(a), ...encode(b), ...encode(condition), 0x1b]);
}

/** `if (condition) { then } else { otherwise }`. */
export function when(condition: Operand, then: Code, otherwise?: Code): Code {
  const alternative = otherwise === undefined ? [] : [0x05, ...otherwise.bytes];
  return new Code([...encode(condition), 0x04, 0x40, ...then.bytes, ...alternative, 0x0b]);
}

/** `while (condition) { body }`, tested once before and then at the end of each round. */
export function repeatWhile(condition: Operand, ...body: readonly Code[]): Code {
  const round = new Code([0x03, 0x40, ...sequence(...body).bytes, ...encode(condition), 0x0d, 0, 0x0b]);
  return when(condition, round);
}
