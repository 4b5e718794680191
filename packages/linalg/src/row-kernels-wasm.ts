import { type Code, ModuleBuilder, type Operand } from '@frugaljs/wasm-assembly';
import type { RowKernels } from './row-kernels.js';
import { defineRowLoop, type Elements, type RowLoop } from './row-loop.js';

const FOUR_ROWS = ['r1', 'r2', 'r3'];
const ROWS = ['row', ...FOUR_ROWS];
const COEFFICIENTS = ['g0', 'g1', 'g2', 'g3'];

/** The rotation number `i` of a chain, between the rows `high` (already in the temporary `high`) and `low`. */
function rotation({ load, store, add, sub, mul, scalar, temporary }: Elements, i: number, high: Row, low: Row): Code[] {
  const [c, s] = [scalar(`c${i}`), scalar(`s${i}`)];
  const [up, down] = [temporary('high'), temporary('low')];
  return [down.set(load(low)), store(high, add(mul(s, down), mul(c, up))), up.set(sub(mul(c, down), mul(s, up)))];
}

type Row = Parameters<Elements['load']>[0];

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

function kernelModule(): ModuleBuilder {
  const module = new ModuleBuilder();
  for (const loop of LOOPS) defineRowLoop(module, loop);
  return module;
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
