/**
 * A very small WebAssembly assembler for functions of one shape: walk some float64 rows in step, two lanes at a time,
 * with an optional odd last element. A loop body is a list of statements over rows, scalars and temporaries; it is
 * emitted twice, once with 128-bit lanes and once with scalars for the tail.
 */
export type Expression =
  | { readonly op: 'row'; readonly name: string }
  | { readonly op: 'scalar'; readonly name: string }
  | { readonly op: 'temporary'; readonly name: string }
  | { readonly op: 'add' | 'sub' | 'mul'; readonly left: Expression; readonly right: Expression };

export type Statement =
  | { readonly to: 'row'; readonly name: string; readonly value: Expression }
  | { readonly to: 'temporary'; readonly name: string; readonly value: Expression }
  | { readonly to: 'sum'; readonly index: number; readonly value: Expression };

export const row = (name: string): Expression => ({ op: 'row', name });
export const scalar = (name: string): Expression => ({ op: 'scalar', name });
export const temporary = (name: string): Expression => ({ op: 'temporary', name });
export const add = (left: Expression, right: Expression): Expression => ({ op: 'add', left, right });
export const sub = (left: Expression, right: Expression): Expression => ({ op: 'sub', left, right });
export const mul = (left: Expression, right: Expression): Expression => ({ op: 'mul', left, right });

/** One function: parameters are element indices, then a stride and a count, then scalars. */
export interface LaneFunction {
  readonly name: string;
  /** Row parameters in call order. The one named `row` is followed by the stride parameter. */
  readonly rows: readonly string[];
  /** Rows at `row + stride`, `row + 2 stride`, ... */
  readonly strided: readonly string[];
  readonly scalars: readonly string[];
  /** How many sums the body adds up; they are stored in elements 0, 1, ... of the memory. */
  readonly sums: number;
  readonly body: readonly Statement[];
}

const I32 = 0x7f;
const F64 = 0x7c;
const V128 = 0x7b;

function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

const text = (value: string): number[] => [...leb(value.length), ...[...value].map(c => c.charCodeAt(0))];
const vector = (items: readonly number[][]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, bytes: number[]): number[] => [id, ...leb(bytes.length), ...bytes];
const simd = (code: number): number[] => [0xfd, ...leb(code)];

const get = (local: number): number[] => [0x20, ...leb(local)];
const set = (local: number): number[] => [0x21, ...leb(local)];
const constant = (value: number): number[] => [0x41, ...leb(value)];

const ARITHMETIC = { add: { lane: 0xf0, one: 0xa0 }, sub: { lane: 0xf1, one: 0xa1 }, mul: { lane: 0xf2, one: 0xa2 } };

function emitFunction(f: LaneFunction): { signature: number[]; code: number[] } {
  const locals = new Map<string, number>();
  const declared: number[] = [];
  let next = 0;
  const parameter = (name: string): void => {
    locals.set(name, next++);
  };
  const declare = (name: string, type: number): void => {
    locals.set(name, next++);
    declared.push(type);
  };
  const at = (name: string): number => {
    const index = locals.get(name);
    if (index === undefined) throw new Error(`lane function ${f.name}: unknown name ${name}`);
    return index;
  };

  for (const name of f.rows) {
    parameter(name);
    if (name === 'row') parameter('stride');
  }
  parameter('n');
  const indexCount = next;
  for (const name of f.scalars) parameter(name);
  const temporaries = new Set(f.body.flatMap(s => (s.to === 'temporary' ? [s.name] : [])));
  for (const name of f.strided) declare(name, I32);
  for (const name of f.scalars) declare(`lane ${name}`, V128);
  for (const name of temporaries) declare(`lane ${name}`, V128);
  for (const name of temporaries) declare(name, F64);
  for (let i = 0; i < f.sums; i++) declare(`lane sum ${i}`, V128);
  for (let i = 0; i < f.sums; i++) declare(`sum ${i}`, F64);

  const lane = (name: string, wide: boolean): number => at(wide ? `lane ${name}` : name);
  // Alignment hints of 8 bytes: rows of odd length start anywhere.
  const load = (wide: boolean): number[] => (wide ? [...simd(0), 3, 0] : [0x2b, 3, 0]);
  const store = (wide: boolean): number[] => (wide ? [...simd(11), 3, 0] : [0x39, 3, 0]);
  const arithmetic = (op: 'add' | 'sub' | 'mul', wide: boolean): number[] =>
    wide ? simd(ARITHMETIC[op].lane) : [ARITHMETIC[op].one];
  const emit = (e: Expression, wide: boolean): number[] => {
    if (e.op === 'row') return [...get(at(e.name)), ...load(wide)];
    if (e.op === 'scalar' || e.op === 'temporary') return get(lane(e.name, wide));
    return [...emit(e.left, wide), ...emit(e.right, wide), ...arithmetic(e.op, wide)];
  };
  const body = (wide: boolean): number[] =>
    f.body.flatMap(s => {
      if (s.to === 'row') return [...get(at(s.name)), ...emit(s.value, wide), ...store(wide)];
      if (s.to === 'temporary') return [...emit(s.value, wide), ...set(lane(s.name, wide))];
      const target = lane(`sum ${s.index}`, wide);
      return [...get(target), ...emit(s.value, wide), ...arithmetic('add', wide), ...set(target)];
    });

  const pointers = [...f.rows, ...f.strided];
  const code: number[] = [];
  // Element indices become byte addresses.
  f.strided.forEach((name, i) => {
    const before = i === 0 ? 'row' : f.strided[i - 1]!;
    code.push(...get(at(before)), ...get(at('stride')), 0x6a, ...set(at(name)));
  });
  for (const name of pointers) code.push(...get(at(name)), ...constant(3), 0x74, ...set(at(name)));
  for (const name of f.scalars) code.push(...get(at(name)), ...simd(20), ...set(at(`lane ${name}`)));
  // block { loop { if n < 2 break; body; pointers += 16; n -= 2; repeat } }
  code.push(0x02, 0x40, 0x03, 0x40, ...get(at('n')), ...constant(2), 0x48, 0x0d, 1, ...body(true));
  for (const name of pointers) code.push(...get(at(name)), ...constant(16), 0x6a, ...set(at(name)));
  code.push(...get(at('n')), ...constant(2), 0x6b, ...set(at('n')), 0x0c, 0, 0x0b, 0x0b);
  // if n { tail }
  code.push(...get(at('n')), 0x04, 0x40, ...body(false), 0x0b);
  for (let i = 0; i < f.sums; i++) {
    const wide = get(at(`lane sum ${i}`));
    code.push(...constant(8 * i), ...wide, ...simd(33), 0, ...wide, ...simd(33), 1, 0xa0);
    code.push(...get(at(`sum ${i}`)), 0xa0, ...store(false));
  }
  code.push(0x0b);

  const types = [...Array<number>(indexCount).fill(I32), ...Array<number>(f.scalars.length).fill(F64)];
  const whole = [...vector(declared.map(type => [1, type])), ...code];
  return { signature: [0x60, ...leb(types.length), ...types, 0], code: [...leb(whole.length), ...whole] };
}

/** The bytes of a module that imports `host.memory` and exports the given functions. */
export function assembleLaneModule(functions: readonly LaneFunction[]): Uint8Array<ArrayBuffer> {
  const parts = functions.map(emitFunction);
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(parts.map(p => p.signature))),
    ...section(2, vector([[...text('host'), ...text('memory'), 0x02, 0x00, 0x01]])),
    ...section(3, vector(parts.map((_, i) => leb(i)))),
    ...section(7, vector(functions.map((f, i) => [...text(f.name), 0x00, ...leb(i)]))),
    ...section(10, vector(parts.map(p => p.code))),
  ]);
}
