import { require } from '../law.js';
import { farthest, maxAbs, type Numbers, norm } from './vectors.js';

/** Distance from 1 to the next float32. */
export const EPSILON32: number = 2 ** -23;

/**
 * Rounding error that a few products with `terms` terms each may leave in float32, relative to the norm of what went in.
 * Errors of sums grow with the square root of their length at worst in practice; the factor covers orthonormalization,
 * which loses a few digits more than a product.
 */
export function rounding(terms: number): number {
  return 32 * EPSILON32 * (2 + Math.sqrt(terms));
}

/** Requires equal numbers up to `tolerance` in absolute terms. */
export function requireClose(what: string, found: Numbers, expected: Numbers, tolerance: number): void {
  const { at, distance } = farthest(found, expected);
  require(distance <= tolerance, () => {
    if (at < 0) return `${what}: ${found.length} numbers where ${expected.length} were expected`;
    const place = expected.length === 1 ? '' : `entry ${at} `;
    return `${what}: ${place}is ${show(found[at]!)}, expected ${show(expected[at]!)} (difference ${show(distance)}, allowed ${show(tolerance)})`;
  });
}

/** Requires the same numbers to the last bit; 0 and -0 are the same. */
export function requireSame(what: string, found: Numbers, expected: Numbers): void {
  requireClose(what, found, expected, 0);
}

/** Requires `found ≤ bound + slack`. */
export function requireAtMost(what: string, found: number, bound: number, slack = 0): void {
  const margin = slack === 0 ? '' : ` + ${show(slack)} for rounding`;
  require(found <= bound + slack, () => `${what} is ${show(found)}, at most ${show(bound)}${margin} expected`);
}

export function requireFinite(what: string, found: Numbers): void {
  const size = maxAbs(found);
  require(Number.isFinite(size), () => `${what} has an entry ${size}`);
}

/** The norm of some data, never 0: what tolerances are scaled by. */
export function scaleOf(...data: readonly Numbers[]): number {
  return Math.max(...data.map(norm), Number.MIN_VALUE);
}

/** A number in a message. */
export function show(x: number): string {
  return Number.isInteger(x) && Math.abs(x) < 1e6 ? String(x) : x.toPrecision(6).replace(/\.?0+(e|$)/, '$1');
}
