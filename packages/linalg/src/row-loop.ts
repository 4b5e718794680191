import {
  type Code,
  type FunctionScope,
  f64,
  f64x2,
  i32,
  type Local,
  type ModuleBuilder,
  type Operand,
  repeatWhile,
  sequence,
  type ValueType,
  v128,
  when,
} from '@frugaljs/wasm-assembly';

const ELEMENT = 8;
const LANES = 2;

type Arithmetic = (a: Operand, b: Operand) => Code;

/** Float64 arithmetic on the elements that one round of a loop covers: two lanes, or the odd last element. */
export interface Elements {
  load(row: Local): Code;
  store(row: Local, value: Operand): Code;
  readonly add: Arithmetic;
  readonly sub: Arithmetic;
  readonly mul: Arithmetic;
  /** A number that stays the same in all rounds. */
  scalar(name: string): Local;
  /** A variable within a round. */
  temporary(name: string): Local;
  /** Adds a value to sum number `index`. */
  sum(index: number, value: Operand): Code;
}

/** A function that walks some rows of a float64 workspace in step. */
export interface RowLoop {
  readonly name: string;
  /** Parameters that are element indices of rows, in call order; the one named `row` is followed by `stride`. */
  readonly rows: readonly string[];
  /** Rows at `row + stride`, `row + 2 stride`, … */
  readonly strided: readonly string[];
  /** Parameters that are numbers, behind the count of elements `n`. */
  readonly scalars: readonly string[];
  readonly temporaries?: readonly string[];
  /** How many sums there are; they go to elements 0, 1, … of the workspace. */
  readonly sums?: number;
  /** One round. */
  body(elements: Elements, rows: Readonly<Record<string, Local>>): readonly Code[];
}

/**
 * Defines the function: its body is emitted twice, once for two lanes at a time and once for an odd last element. Sums
 * add the even elements, the odd ones and the tail, in this order.
 */
export function defineRowLoop(module: ModuleBuilder, loop: RowLoop): void {
  const indices = [...loop.rows.flatMap(name => (name === 'row' ? ['row', 'stride'] : [name])), 'n'];
  const parameters = Object.fromEntries([
    ...indices.map((name): [string, ValueType] => [name, 'i32']),
    ...loop.scalars.map((name): [string, ValueType] => [name, 'f64']),
  ]);
  module.define(loop.name, parameters, (given, scope) => {
    const rows: Record<string, Local> = {};
    for (const name of loop.rows) rows[name] = given[name]!;
    for (const name of loop.strided) rows[name] = scope.local('i32');
    const pointers = [...loop.rows, ...loop.strided].map(name => rows[name]!);
    const [stride, n] = [given['stride']!, given['n']!];
    const [pairs, single] = [pairElements(loop, given, scope), singleElements(loop, given, scope)];
    return sequence(
      ...loop.strided.map((name, i) => rows[name]!.set(i32.add(rows[loop.strided[i - 1] ?? 'row']!, stride))),
      ...pointers.map(pointer => pointer.set(i32.shl(pointer, Math.log2(ELEMENT)))),
      ...pairs.prepare,
      repeatWhile(
        i32.geU(n, LANES),
        ...loop.body(pairs.elements, rows),
        ...pointers.map(pointer => pointer.advance(LANES * ELEMENT)),
        n.advance(-LANES),
      ),
      when(n, sequence(...loop.body(single.elements, rows))),
      ...pairs.sums.map((sum, i) => {
        const evenAndOdd = f64.add(f64x2.lane(sum, 0), f64x2.lane(sum, 1));
        return f64.store(ELEMENT * i, f64.add(evenAndOdd, single.sums[i]!));
      }),
    );
  });
}

interface Width {
  readonly elements: Elements;
  /** Before the first round. */
  readonly prepare: readonly Code[];
  readonly sums: readonly Local[];
}

function pairElements(loop: RowLoop, given: Readonly<Record<string, Local>>, scope: FunctionScope): Width {
  const scalars = new Map(loop.scalars.map(name => [name, scope.local('v128')]));
  const { temporary, sum, sums } = variables(loop, scope, 'v128', f64x2.add);
  const { add, sub, mul } = f64x2;
  return {
    prepare: [...scalars].map(([name, lanes]) => lanes.set(f64x2.splat(given[name]!))),
    sums,
    elements: {
      load: row => v128.load(row),
      store: (row, value) => v128.store(row, value),
      ...{ add, sub, mul, temporary, sum },
      scalar: name => scalars.get(name)!,
    },
  };
}

function singleElements(loop: RowLoop, given: Readonly<Record<string, Local>>, scope: FunctionScope): Width {
  const { temporary, sum, sums } = variables(loop, scope, 'f64', f64.add);
  const { add, sub, mul, load, store } = f64;
  return {
    prepare: [],
    sums,
    elements: {
      load: row => load(row),
      store: (row, value) => store(row, value),
      ...{ add, sub, mul, temporary, sum },
      scalar: name => given[name]!,
    },
  };
}

function variables(
  { temporaries = [], sums: count = 0 }: RowLoop,
  scope: FunctionScope,
  type: ValueType,
  add: Arithmetic,
): Pick<Elements, 'temporary' | 'sum'> & { readonly sums: readonly Local[] } {
  const locals = new Map(temporaries.map(name => [name, scope.local(type)]));
  const sums = scope.locals(type, count);
  return {
    temporary: name => locals.get(name)!,
    sum: (index, value) => sums[index]!.set(add(sums[index]!, value)),
    sums,
  };
}
