import {
  type Call,
  type Code,
  f32,
  f32x4,
  i32,
  integers,
  type Local,
  type ModuleBuilder,
  repeatWhile,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';

/** Rows of `b` that are added up per visit of `c`, so that `c` is loaded and stored less often than `b` is read. */
const STEP = 4;

/**
 * Defines `addRowProduct(c, a, aDepth, b, bDepth, depth, columns)`: `c += a·b` for one row `a`, with strides in bytes.
 * The rows of `b` are contiguous and read once, in order; for few rows of `a`, packing `b` would cost more than the
 * product.
 */
export function defineRowProduct(module: ModuleBuilder): void {
  const addRows = (name: string, rows: number): Call =>
    module.define(name, integers('c', 'a', 'aDepth', 'b', 'bDepth', 'columns'), (parameters, scope) => {
      const { c, a, aDepth, b, bDepth, columns } = parameters;
      const pointers = scope.locals('i32', rows);
      const values = scope.locals('v128', rows);
      const prepare = pointers.flatMap((pointer, i): Code[] => [
        pointer.set(i === 0 ? b : i32.add(pointers[i - 1]!, bDepth)),
        values[i]!.set(v128.load32Splat(a)),
        a.advance(aDepth),
      ]);
      const move = (bytes: number): Code[] => [
        ...pointers.map(pointer => pointer.advance(bytes)),
        c.advance(bytes),
        columns.advance(-bytes / 4),
      ];
      const terms = (load: (pointer: Local) => Code): Code =>
        pointers.map((pointer, i) => f32x4.mul(values[i]!, load(pointer))).reduce((sum, term) => f32x4.add(sum, term));
      return sequence(
        ...prepare,
        repeatWhile(
          i32.geU(columns, 4),
          v128.store(
            c,
            f32x4.add(
              v128.load(c),
              terms(pointer => v128.load(pointer)),
            ),
          ),
          ...move(16),
        ),
        repeatWhile(
          columns,
          f32.store(c, f32.add(f32.load(c), f32x4.lane0(terms(pointer => v128.load32Splat(pointer))))),
          ...move(4),
        ),
      );
    });
  const addSome = addRows('addRowsOfProduct', STEP);
  const addOne = addRows('addRowOfProduct', 1);
  module.define(
    'addRowProduct',
    integers('c', 'a', 'aDepth', 'b', 'bDepth', 'depth', 'columns'),
    ({ c, a, aDepth, b, bDepth, depth, columns }) => {
      const advance = (rows: number): Code[] => [
        a.advance(i32.mul(aDepth, rows)),
        b.advance(i32.mul(bDepth, rows)),
        depth.advance(-rows),
      ];
      return sequence(
        repeatWhile(i32.geU(depth, STEP), addSome(c, a, aDepth, b, bDepth, columns), ...advance(STEP)),
        repeatWhile(depth, addOne(c, a, aDepth, b, bDepth, columns), ...advance(1)),
      );
    },
  );
}
