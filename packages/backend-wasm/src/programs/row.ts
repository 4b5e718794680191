import {
  type Call,
  type Code,
  f32,
  f32x4,
  i32,
  i32x4,
  integers,
  type ModuleBuilder,
  memory,
  repeatWhile,
  sequence,
  v128,
  when,
} from '@frugaljs/wasm-assembly';

/** From this many bytes on, the engine's bulk copy beats a loop over vectors. */
const BULK_COPY_BYTES = 1024;

/** Defines `copyRow(to, from, bytes)`: copies non-overlapping bytes, fast for short rows too. */
export function defineCopyRow(module: ModuleBuilder): Call {
  return module.define('copyRow', integers('to', 'from', 'bytes'), ({ to, from, bytes }) => {
    const copyWhile = (size: number, copy: Code): Code =>
      repeatWhile(i32.geU(bytes, size), copy, to.advance(size), from.advance(size), bytes.advance(-size));
    return when(
      i32.geU(bytes, BULK_COPY_BYTES),
      memory.copy(to, from, bytes),
      sequence(
        copyWhile(16, v128.store(to, v128.load(from))),
        copyWhile(4, i32.store(to, i32.load(from))),
        copyWhile(1, i32.store8(to, i32.load8U(from))),
      ),
    );
  });
}

/** Defines `addRow(to, from, count)` or its `int32` sibling: `to[i] += from[i]` for `count` elements of 4 bytes. */
export function defineAddRow(module: ModuleBuilder, name: string, type: 'float32' | 'int32'): Call {
  const scalar = type === 'float32' ? f32 : i32;
  const vector = type === 'float32' ? f32x4 : i32x4;
  return module.define(name, integers('to', 'from', 'count'), ({ to, from, count }) => {
    return sequence(
      repeatWhile(
        i32.geU(count, 4),
        v128.store(to, vector.add(v128.load(to), v128.load(from))),
        to.advance(16),
        from.advance(16),
        count.advance(-4),
      ),
      repeatWhile(
        count,
        scalar.store(to, scalar.add(scalar.load(to), scalar.load(from))),
        to.advance(4),
        from.advance(4),
        count.advance(-1),
      ),
    );
  });
}
