import { type Code, type Local, sequence, v128 } from '@frugaljs/wasm-assembly';

/** Turns the four rows of a 4×4 block, one vector each, into its columns, in place; `spare` are two vectors to use. */
export function transpose4x4(rows: readonly Local[], spare: readonly Local[]): Code {
  const [a, b, c, d] = rows as [Local, Local, Local, Local];
  const [x, y] = spare as [Local, Local];
  return sequence(
    x.set(v128.shuffle32(a, b, [2, 6, 3, 7])),
    a.set(v128.shuffle32(a, b, [0, 4, 1, 5])),
    y.set(v128.shuffle32(c, d, [2, 6, 3, 7])),
    c.set(v128.shuffle32(c, d, [0, 4, 1, 5])),
    b.set(v128.shuffle32(a, c, [2, 3, 6, 7])),
    a.set(v128.shuffle32(a, c, [0, 1, 4, 5])),
    c.set(v128.shuffle32(x, y, [0, 1, 4, 5])),
    d.set(v128.shuffle32(x, y, [2, 3, 6, 7])),
  );
}
