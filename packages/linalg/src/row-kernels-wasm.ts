import type { Expression, LaneFunction, Statement } from './lane-assembler.js';
import { add, assembleLaneModule, mul, row, scalar, sub, temporary } from './lane-assembler.js';
import type { RowKernels } from './row-kernels.js';

const FOUR_ROWS = ['r1', 'r2', 'r3'];
const ROWS = ['row', ...FOUR_ROWS];
const COEFFICIENTS = ['g0', 'g1', 'g2', 'g3'];

const sum = (index: number, value: Expression): Statement => ({ to: 'sum', index, value });
const storeRow = (name: string, value: Expression): Statement => ({ to: 'row', name, value });
const keep = (name: string, value: Expression): Statement => ({ to: 'temporary', name, value });

/** The rotation number `i` of a chain, between the rows `high` (already in the temporary `high`) and `low`. */
function rotation(i: number, high: string, low: string): Statement[] {
  const c = scalar(`c${i}`);
  const s = scalar(`s${i}`);
  const up = temporary('high');
  const down = temporary('low');
  return [
    keep('low', row(low)),
    storeRow(high, add(mul(s, down), mul(c, up))),
    keep('high', sub(mul(c, down), mul(s, up))),
  ];
}

const FUNCTIONS: readonly LaneFunction[] = [
  {
    name: 'dot4',
    rows: ['row', 'u'],
    strided: FOUR_ROWS,
    scalars: [],
    sums: 4,
    body: ROWS.map((name, i) => sum(i, mul(row(name), row('u')))),
  },
  {
    name: 'subtract4',
    rows: ['row', 'u'],
    strided: FOUR_ROWS,
    scalars: COEFFICIENTS,
    sums: 0,
    body: ROWS.map((name, i) => storeRow(name, sub(row(name), mul(scalar(COEFFICIENTS[i]!), row('u'))))),
  },
  {
    name: 'gather4',
    rows: ['out', 'row'],
    strided: FOUR_ROWS,
    scalars: COEFFICIENTS,
    sums: 0,
    body: [
      storeRow('out', sub(row('out'), ROWS.map((name, i) => mul(scalar(COEFFICIENTS[i]!), row(name))).reduce(add))),
    ],
  },
  {
    name: 'symmetric2',
    rows: ['row', 'u', 'p'],
    strided: ['r1'],
    scalars: ['a0', 'a1'],
    sums: 2,
    body: [
      keep('x', row('row')),
      keep('y', row('r1')),
      keep('w', row('u')),
      sum(0, mul(temporary('x'), temporary('w'))),
      sum(1, mul(temporary('y'), temporary('w'))),
      storeRow('p', add(row('p'), add(mul(scalar('a0'), temporary('x')), mul(scalar('a1'), temporary('y'))))),
    ],
  },
  {
    name: 'rankTwo2',
    rows: ['row', 'u', 'q'],
    strided: ['r1'],
    scalars: ['a0', 'b0', 'a1', 'b1'],
    sums: 0,
    body: [
      keep('x', row('u')),
      keep('y', row('q')),
      ...['row', 'r1'].map((name, i) =>
        storeRow(name, sub(row(name), add(mul(scalar(`a${i}`), temporary('y')), mul(scalar(`b${i}`), temporary('x'))))),
      ),
    ],
  },
  {
    name: 'rotate4',
    rows: ['row'],
    strided: [...FOUR_ROWS, 'r4'],
    scalars: ['c0', 's0', 'c1', 's1', 'c2', 's2', 'c3', 's3'],
    sums: 0,
    body: [
      keep('high', row('r4')),
      ...rotation(0, 'r4', 'r3'),
      ...rotation(1, 'r3', 'r2'),
      ...rotation(2, 'r2', 'r1'),
      ...rotation(3, 'r1', 'row'),
      storeRow('row', temporary('high')),
    ],
  },
];

const PAGE = 65536;

/** The WebAssembly SIMD implementation, or null where the engine lacks SIMD or a content policy forbids compilation. */
export function createWasmKernels(): RowKernels | null {
  try {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(assembleLaneModule(FUNCTIONS));
    const kernels = new WebAssembly.Instance(module, { host: { memory } }).exports as unknown as Omit<
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
