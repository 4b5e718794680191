import { describe, expect, it } from 'vitest';
import {
  f32,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  integers,
  ModuleBuilder,
  memory,
  repeatWhile,
  select,
  sequence,
  v128,
  when,
} from '../src/index.js';

type Functions = Record<string, (...args: number[]) => void>;

function instantiate(module: ModuleBuilder, shared = false): { functions: Functions; heap: ArrayBufferLike } {
  const heap = new WebAssembly.Memory(shared ? { initial: 1, maximum: 65536, shared } : { initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode({ shared })), {
    heap: { memory: heap },
  });
  return { functions: exports as Functions, heap: heap.buffer };
}

/** Runs code that writes from byte 64 on; the first 64 bytes hold the floats 1 … 16. */
function written(build: (scope: Parameters<Parameters<ModuleBuilder['define']>[2]>[1]) => ReturnType<typeof sequence>) {
  const module = new ModuleBuilder();
  module.define('run', integers(), (_, scope) => build(scope));
  const { functions, heap } = instantiate(module);
  new Float32Array(heap, 0, 16).set(Array.from({ length: 16 }, (_, i) => i + 1));
  functions['run']!();
  return {
    floats: new Float32Array(heap, 64, 4),
    doubles: new Float64Array(heap, 64, 2),
    ints: new Int32Array(heap, 64, 4),
  };
}

describe('vectors', () => {
  const [a, b] = [v128.load(0), v128.load(16)];
  it.each([
    ['add', f32x4.add(a, b), [6, 8, 10, 12]],
    ['sub', f32x4.sub(a, b), [-4, -4, -4, -4]],
    ['mul', f32x4.mul(a, b), [5, 12, 21, 32]],
    ['pmin', f32x4.pmin(a, b), [1, 2, 3, 4]],
    ['pmax', f32x4.pmax(a, b), [5, 6, 7, 8]],
    ['splat', f32x4.splat(f32.load(8)), [3, 3, 3, 3]],
    ['load32Splat', v128.load32Splat(4), [2, 2, 2, 2]],
    ['load with an offset', v128.load(0, 4), [2, 3, 4, 5]],
    ['shuffle32', v128.shuffle32(a, b, [0, 4, 3, 7]), [1, 5, 4, 8]],
  ] as const)('%s', (_, value, expected) => {
    expect([...written(() => v128.store(64, value)).floats]).toEqual(expected);
  });

  it('float64 lanes', () => {
    const { doubles } = written(scope => {
      const x = scope.local('v128');
      return sequence(
        f64.store(64, f64.add(f64.load(64), f64.load(64))),
        x.set(f64x2.splat(f64.load(64))),
        v128.store(64, f64x2.add(x, x)),
        f64.store(64, f64.sub(f64x2.lane(v128.load(64), 1), f64.mul(f64x2.lane(x, 0), f64x2.lane(x, 1)))),
        v128.store(64, f64x2.sub(f64x2.mul(v128.load(64), v128.load(64)), x)),
      );
    });
    expect([...doubles]).toEqual([0, 0]);
  });

  it('integer lanes', () => {
    const { ints } = written(() =>
      v128.store(
        64,
        i32x4.sub(i32x4.shl(i32x4.splat(-3), 4), i32x4.shrS(i32x4.add(i32x4.splat(-7), i32x4.splat(-1)), 1)),
      ),
    );
    expect([...ints]).toEqual([-44, -44, -44, -44]);
  });
});

describe('control', () => {
  it('branches, loops, selects, and calls what was defined before', () => {
    const module = new ModuleBuilder();
    const add = module.define('add', integers('to', 'amount'), ({ to, amount }) =>
      i32.store(to, i32.add(i32.load(to), amount)),
    );
    module.define('sumOfOdd', integers('to', 'n'), ({ to, n }, scope) => {
      const amount = scope.local('i32');
      return repeatWhile(
        n,
        amount.set(select(n, 0, i32.and(n, 1))),
        when(amount, add(to, amount), add(to, 0)),
        n.advance(-1),
      );
    });
    const { functions, heap } = instantiate(module);
    functions['sumOfOdd']!(0, 7);
    expect(new Int32Array(heap)[0]).toBe(16);
    functions['sumOfOdd']!(4, 0);
    expect(new Int32Array(heap)[1]).toBe(0);
  });

  it('copies and fills memory, also a shared one', () => {
    for (const shared of [false, true]) {
      const module = new ModuleBuilder();
      module.define('run', integers('to'), ({ to }) =>
        sequence(memory.fill(to, 7, 4), memory.copy(i32.add(to, 8), to, 2)),
      );
      const { functions, heap } = instantiate(module, shared);
      functions['run']!(16);
      expect([...new Uint8Array(heap, 16, 12)]).toEqual([7, 7, 7, 7, 0, 0, 0, 0, 7, 7, 0, 0]);
    }
  });
});
