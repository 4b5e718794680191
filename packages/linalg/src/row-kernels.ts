import {
  type Code,
  type FunctionScope,
  f64,
  f64x2,
  i32,
  type Local,
  ModuleBuilder,
  type Operand,
  repeatWhile,
  sequence,
  type ValueType,
  v128,
  when,
} from '@frugaljs/wasm-assembly';

/**
 * The inner loops of the float64 host algorithms (Cholesky, tridiagonalization, QL), all on contiguous rows of one
 * workspace. Two implementations exist, one in JavaScript and one in WebAssembly SIMD; both add in the same order (even
 * elements, odd elements, then the odd tail), so their results are bit-identical.
 *
 * Positions are element indices into the workspace. Kernels that produce sums leave them in elements 0 to 3.
 */
export interface RowKernels {
  /** The workspace with at least `length` elements. Contents are undefined; earlier views may be detached. */
  reserve(length: number): Float64Array;
  /** sums[i] = row_i . u for the four rows at `row`, `row + stride`, ... */
  dot4(row: number, stride: number, u: number, n: number): void;
  /** row_i -= g_i u for four rows. */
  subtract4(row: number, stride: number, u: number, n: number, g0: number, g1: number, g2: number, g3: number): void;
  /** out -= sum of g_i row_i for four rows. */
  gather4(out: number, row: number, stride: number, n: number, g0: number, g1: number, g2: number, g3: number): void;
  /** sums[i] = row_i . u for two rows, and p += a0 row_0 + a1 row_1: one pass of a symmetric matrix-vector product. */
  symmetric2(row: number, stride: number, u: number, p: number, n: number, a0: number, a1: number): void;
  /** row_i -= a_i q + b_i u for two rows: one pass of a symmetric rank-two update. */
  rankTwo2(
    row: number,
    stride: number,
    u: number,
    q: number,
    n: number,
    a0: number,
    b0: number,
    a1: number,
    b1: number,
  ): void;
  /** Four chained plane rotations of the rows z_4 z_3, z_3 z_2, z_2 z_1, z_1 z_0: (z_hi, z_lo) <- (s z_lo + c z_hi, c z_lo - s z_hi). */
  rotate4(
    row: number,
    stride: number,
    n: number,
    c0: number,
    s0: number,
    c1: number,
    s1: number,
    c2: number,
    s2: number,
    c3: number,
    s3: number,
  ): void;
}

/** Elements 0 to 3 hold the sums, so a caller's own data starts here. */
export const WORKSPACE_START = 4;

let shared: RowKernels | undefined;

/**
 * The kernels with their one workspace, created on first use. It grows to the largest problem seen (about 24 r^2 bytes
 * for an r x r eigenproblem) and is reused, so refreshing many bases allocates nothing after the first.
 */
export function hostKernels(): RowKernels {
  shared ??= createWasmKernels() ?? createScriptKernels();
  return shared;
}

/** The JavaScript implementation: the fallback where WebAssembly SIMD is missing or forbidden. */
export function createScriptKernels(): RowKernels {
  let z: Float64Array = new Float64Array(0);
  return {
    reserve(length) {
      if (z.length < length) z = new Float64Array(length);
      return z;
    },
    dot4(row, stride, u, n) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      let a0 = 0;
      let a1 = 0;
      let b0 = 0;
      let b1 = 0;
      let c0 = 0;
      let c1 = 0;
      let d0 = 0;
      let d1 = 0;
      const even = n & ~1;
      for (let k = 0; k < even; k += 2) {
        const x = z[u + k]!;
        const y = z[u + k + 1]!;
        a0 += z[row + k]! * x;
        a1 += z[row + k + 1]! * y;
        b0 += z[r1 + k]! * x;
        b1 += z[r1 + k + 1]! * y;
        c0 += z[r2 + k]! * x;
        c1 += z[r2 + k + 1]! * y;
        d0 += z[r3 + k]! * x;
        d1 += z[r3 + k + 1]! * y;
      }
      const x = n > even ? z[u + even]! : 0;
      z[0] = a0 + a1 + (n > even ? z[row + even]! * x : 0);
      z[1] = b0 + b1 + (n > even ? z[r1 + even]! * x : 0);
      z[2] = c0 + c1 + (n > even ? z[r2 + even]! * x : 0);
      z[3] = d0 + d1 + (n > even ? z[r3 + even]! * x : 0);
    },
    subtract4(row, stride, u, n, g0, g1, g2, g3) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      for (let k = 0; k < n; k++) {
        const x = z[u + k]!;
        z[row + k]! -= g0 * x;
        z[r1 + k]! -= g1 * x;
        z[r2 + k]! -= g2 * x;
        z[r3 + k]! -= g3 * x;
      }
    },
    gather4(out, row, stride, n, g0, g1, g2, g3) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      for (let k = 0; k < n; k++) {
        z[out + k]! -= g0 * z[row + k]! + g1 * z[r1 + k]! + g2 * z[r2 + k]! + g3 * z[r3 + k]!;
      }
    },
    symmetric2(row, stride, u, p, n, a0, a1) {
      const r1 = row + stride;
      let s0 = 0;
      let s1 = 0;
      let t0 = 0;
      let t1 = 0;
      const even = n & ~1;
      for (let k = 0; k < even; k += 2) {
        const x0 = z[row + k]!;
        const x1 = z[row + k + 1]!;
        const y0 = z[r1 + k]!;
        const y1 = z[r1 + k + 1]!;
        s0 += x0 * z[u + k]!;
        s1 += x1 * z[u + k + 1]!;
        t0 += y0 * z[u + k]!;
        t1 += y1 * z[u + k + 1]!;
        z[p + k]! += a0 * x0 + a1 * y0;
        z[p + k + 1]! += a0 * x1 + a1 * y1;
      }
      let tail0 = 0;
      let tail1 = 0;
      if (n > even) {
        const x = z[row + even]!;
        const y = z[r1 + even]!;
        tail0 = x * z[u + even]!;
        tail1 = y * z[u + even]!;
        z[p + even]! += a0 * x + a1 * y;
      }
      z[0] = s0 + s1 + tail0;
      z[1] = t0 + t1 + tail1;
    },
    rankTwo2(row, stride, u, q, n, a0, b0, a1, b1) {
      const r1 = row + stride;
      for (let k = 0; k < n; k++) {
        const x = z[u + k]!;
        const y = z[q + k]!;
        z[row + k]! -= a0 * y + b0 * x;
        z[r1 + k]! -= a1 * y + b1 * x;
      }
    },
    rotate4(row, stride, n, c0, s0, c1, s1, c2, s2, c3, s3) {
      const r1 = row + stride;
      const r2 = r1 + stride;
      const r3 = r2 + stride;
      const r4 = r3 + stride;
      for (let k = 0; k < n; k++) {
        let high = z[r4 + k]!;
        let low = z[r3 + k]!;
        z[r4 + k] = s0 * low + c0 * high;
        high = c0 * low - s0 * high;
        low = z[r2 + k]!;
        z[r3 + k] = s1 * low + c1 * high;
        high = c1 * low - s1 * high;
        low = z[r1 + k]!;
        z[r2 + k] = s2 * low + c2 * high;
        high = c2 * low - s2 * high;
        low = z[row + k]!;
        z[r1 + k] = s3 * low + c3 * high;
        z[row + k] = c3 * low - s3 * high;
      }
    },
  };
}

const PAGE = 65536;

/** The WebAssembly SIMD implementation, or null where the engine lacks SIMD or a content policy forbids compilation. */
export function createWasmKernels(): RowKernels | null {
  try {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(kernelModule().encode({ shared: false }));
    const kernels = new WebAssembly.Instance(module, { heap: { memory } }).exports as unknown as Omit<
      RowKernels,
      'reserve'
    >;
    let view = new Float64Array(memory.buffer);
    return {
      ...kernels,
      reserve(length) {
        if (view.length < length) {
          memory.grow(Math.ceil((length * 8 - memory.buffer.byteLength) / PAGE));
          view = new Float64Array(memory.buffer);
        }
        return view;
      },
    };
  } catch {
    return null;
  }
}

function kernelModule(): ModuleBuilder {
  const module = new ModuleBuilder();
  for (const loop of LOOPS) defineRowLoop(module, loop);
  return module;
}

const FOUR_ROWS = ['r1', 'r2', 'r3'];
const ROWS = ['row', ...FOUR_ROWS];
const COEFFICIENTS = ['g0', 'g1', 'g2', 'g3'];

const LOOPS: readonly RowLoop[] = [
  {
    name: 'dot4',
    rows: ['row', 'u'],
    strided: FOUR_ROWS,
    scalars: [],
    sums: 4,
    body: ({ load, mul, sum }, rows) => ROWS.map((name, i) => sum(i, mul(load(rows[name]!), load(rows['u']!)))),
  },
  {
    name: 'subtract4',
    rows: ['row', 'u'],
    strided: FOUR_ROWS,
    scalars: COEFFICIENTS,
    body: ({ load, store, sub, mul, scalar }, rows) =>
      ROWS.map((name, i) => {
        const row = rows[name]!;
        return store(row, sub(load(row), mul(scalar(COEFFICIENTS[i]!), load(rows['u']!))));
      }),
  },
  {
    name: 'gather4',
    rows: ['out', 'row'],
    strided: FOUR_ROWS,
    scalars: COEFFICIENTS,
    body: ({ load, store, add, sub, mul, scalar }, rows) => {
      const terms = ROWS.map((name, i): Operand => mul(scalar(COEFFICIENTS[i]!), load(rows[name]!)));
      return [store(rows['out']!, sub(load(rows['out']!), terms.reduce(add)))];
    },
  },
  {
    name: 'symmetric2',
    rows: ['row', 'u', 'p'],
    strided: ['r1'],
    scalars: ['a0', 'a1'],
    temporaries: ['x', 'y', 'w'],
    sums: 2,
    body: ({ load, store, add, mul, scalar, temporary, sum }, rows) => {
      const [x, y, w] = [temporary('x'), temporary('y'), temporary('w')];
      const product = add(mul(scalar('a0'), x), mul(scalar('a1'), y));
      return [
        x.set(load(rows['row']!)),
        y.set(load(rows['r1']!)),
        w.set(load(rows['u']!)),
        sum(0, mul(x, w)),
        sum(1, mul(y, w)),
        store(rows['p']!, add(load(rows['p']!), product)),
      ];
    },
  },
  {
    name: 'rankTwo2',
    rows: ['row', 'u', 'q'],
    strided: ['r1'],
    scalars: ['a0', 'b0', 'a1', 'b1'],
    temporaries: ['x', 'y'],
    body: ({ load, store, add, sub, mul, scalar, temporary }, rows) => {
      const [x, y] = [temporary('x'), temporary('y')];
      const update = ['row', 'r1'].map((name, i) => {
        const row = rows[name]!;
        return store(row, sub(load(row), add(mul(scalar(`a${i}`), y), mul(scalar(`b${i}`), x))));
      });
      return [x.set(load(rows['u']!)), y.set(load(rows['q']!)), ...update];
    },
  },
  {
    name: 'rotate4',
    rows: ['row'],
    strided: [...FOUR_ROWS, 'r4'],
    scalars: ['c0', 's0', 'c1', 's1', 'c2', 's2', 'c3', 's3'],
    temporaries: ['high', 'low'],
    body: (elements, rows) => {
      const chain = ['r4', 'r3', 'r2', 'r1', 'row'].map(name => rows[name]!);
      const high = elements.temporary('high');
      return [
        high.set(elements.load(chain[0]!)),
        ...chain.slice(1).flatMap((low, i) => rotation(elements, i, chain[i]!, low)),
        elements.store(chain[4]!, high),
      ];
    },
  },
];

/** The rotation number `i` of a chain, between the rows `high` (already in the temporary `high`) and `low`. */
function rotation(
  { load, store, add, sub, mul, scalar, temporary }: Elements,
  i: number,
  high: Local,
  low: Local,
): Code[] {
  const [c, s] = [scalar(`c${i}`), scalar(`s${i}`)];
  const [up, down] = [temporary('high'), temporary('low')];
  return [down.set(load(low)), store(high, add(mul(s, down), mul(c, up))), up.set(sub(mul(c, down), mul(s, up)))];
}

type Arithmetic = (a: Operand, b: Operand) => Code;

/** Float64 arithmetic on the elements that one round of a loop covers: two lanes, or the odd last element. */
interface Elements {
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
interface RowLoop {
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

const ELEMENT = 8;
const LANES = 2;

/**
 * Defines the function: its body is emitted twice, once for two lanes at a time and once for an odd last element. Sums
 * add the even elements, the odd ones and the tail, in this order.
 */
function defineRowLoop(module: ModuleBuilder, loop: RowLoop): void {
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
