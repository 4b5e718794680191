import type { Value } from '@frugaljs/core';

/**
 * scale · m / (root + ε), where `scale` is a number on the host and `root` has one value per element, row, column or
 * tensor.
 *
 * The quotient that does not depend on m comes first, so that a root with one value per row costs one division per
 * row. With ε = 0 an entry whose root is 0 does not move: 0 / 0 counts as 0, like the sign that such a step is.
 */
export function adaptiveDirection(m: Value, scale: Value, root: Value, epsilon: number): Value {
  return m.mul(epsilon === 0 ? scale.divNoNan(root) : scale.div(root.add(epsilon)));
}
