/** Share of a tensor's largest entry below which differences are not measured against the entry itself. */
export const ERROR_FLOOR = 0.1;

/** How the error is defined, for the report. */
export const ERROR_DEFINITION = `|ours - official| / max(|official|, ${ERROR_FLOOR} · largest |official| of the tensor)`;

/**
 * Largest error of a tensor's entries, each relative to the official entry, or to {@link ERROR_FLOOR} of the tensor's
 * largest entry where that is more: an entry on its way through 0 keeps the rounding errors of its former size, which a
 * float32 program can do nothing about. A tensor of zeros must be met exactly. NaN and Inf count as infinitely wrong.
 */
export function relativeError(ours: ArrayLike<number>, official: readonly number[]): number {
  const floor = ERROR_FLOOR * official.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  return official.reduce((worst, expected, i) => {
    const difference = Math.abs(ours[i]! - expected);
    const error = difference === 0 ? 0 : difference / Math.max(Math.abs(expected), floor);
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }, 0);
}
