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
