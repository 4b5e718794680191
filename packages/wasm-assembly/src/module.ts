import { Code, encode, type Operand, unsigned } from './instructions.js';

/** Types of WebAssembly values. */
export type ValueType = 'i32' | 'f32' | 'f64' | 'v128';

const typeBytes: Record<ValueType, number> = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** A parameter or local variable; used as an operand it reads the variable. */
export class Local extends Code {
  readonly #index: number;

  constructor(index: number) {
    super([0x20, ...unsigned(index)]);
    this.#index = index;
  }

  /** `local = value`. */
  set(value: Operand): Code {
    return new Code([...encode(value), 0x21, ...unsigned(this.#index)]);
  }

  /** `local += amount`, for an `i32` local. */
  advance(amount: Operand): Code {
    return new Code([...this.bytes, ...encode(amount), 0x6a, 0x21, ...unsigned(this.#index)]);
  }
}

/** Declares the local variables of a function under construction. */
export class FunctionScope {
  readonly localTypes: ValueType[] = [];
  readonly #parameters: number;

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  local(type: ValueType): Local {
    this.localTypes.push(type);
    return new Local(this.#parameters + this.localTypes.length - 1);
  }

  /** Several locals of one type. */
  locals(type: ValueType, count: number): Local[] {
    return Array.from({ length: count }, () => this.local(type));
  }
}

/** Parameters that are all `i32`: byte offsets, strides and counts. */
export function integers<Name extends string>(...names: readonly Name[]): Record<Name, ValueType> {
  return Object.fromEntries(names.map(name => [name, 'i32'])) as Record<Name, ValueType>;
}

/** Emits a call of a defined function; arguments in the order of its parameters. */
export type Call = (...args: readonly Operand[]) => Code;

interface Definition {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly localTypes: readonly ValueType[];
  readonly body: Code;
}

/**
 * Assembles a WebAssembly module of functions without results, all exported, that work on one imported memory
 * (`heap.memory`). Binary format: WebAssembly core specification 2.0, section 5.5.
 */
export class ModuleBuilder {
  readonly #definitions: Definition[] = [];

  /** Adds a function and returns the way to call it from functions defined later. */
  define<Name extends string>(
    name: string,
    parameters: Readonly<Record<Name, ValueType>>,
    build: (parameters: Readonly<Record<Name, Local>>, scope: FunctionScope) => Code,
  ): Call {
    const names = Object.keys(parameters) as Name[];
    const locals = Object.fromEntries(names.map((parameter, index) => [parameter, new Local(index)]));
    const scope = new FunctionScope(names.length);
    const body = build(locals as Record<Name, Local>, scope);
    const types = names.map(parameter => parameters[parameter]);
    const index = this.#definitions.push({ name, parameters: types, localTypes: scope.localTypes, body }) - 1;
    return (...args) => new Code([...args.flatMap(encode), 0x10, ...unsigned(index)]);
  }

  /** The module's bytes. A shared memory (tfjs with threads) must be declared as shared, with the largest maximum. */
  encode(memory: { readonly shared: boolean }): Uint8Array<ArrayBuffer> {
    const definitions = this.#definitions;
    const limits = memory.shared ? [3, 1, ...unsigned(0x10000)] : [0, 1];
    return new Uint8Array([
      ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      ...section(
        1,
        definitions.map(({ parameters }) => [0x60, ...vector(parameters.map(type => [typeBytes[type]])), 0]),
      ),
      ...section(2, [[...text('heap'), ...text('memory'), 2, ...limits]]),
      ...section(
        3,
        definitions.map((_, index) => unsigned(index)),
      ),
      ...section(
        7,
        definitions.map(({ name }, index) => [...text(name), 0, ...unsigned(index)]),
      ),
      ...section(10, definitions.map(functionBody)),
    ]);
  }
}

function functionBody({ localTypes, body }: Definition): number[] {
  const bytes = [...vector(localTypes.map(type => [1, typeBytes[type]])), ...body.bytes, 0x0b];
  return [...unsigned(bytes.length), ...bytes];
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const bytes = vector(items);
  return [id, ...unsigned(bytes.length), ...bytes];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function text(ascii: string): number[] {
  return [...unsigned(ascii.length), ...Array.from(ascii, character => character.charCodeAt(0))];
}
