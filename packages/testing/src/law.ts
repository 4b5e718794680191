import type { Arbitrary } from 'fast-check';
import { farthest, maxAbs, type Numbers, norm } from './numerics.js';

/**
 * One law: what must hold, why, when it does not apply, and the check itself.
 *
 * @typeParam Fixture What is tested: a factory with the options of its suite.
 * @typeParam Example What one run draws; the shape comes first, so that it shrinks first.
 */
export interface Law<Fixture, Example = unknown> {
  /** Short and unique within its suite; reports and mutation tables name laws by it. */
  readonly name: string;
  /** What holds, as a formula. */
  readonly formula: string;
  /** What goes wrong in training when it does not hold. */
  readonly why: string;
  /** Laws without which this one says nothing new: it is left out when one of them is broken. */
  readonly needs?: readonly string[];
  /** Runs relative to the suite's number of runs. Default 1; a law that draws all it needs itself has `'once'`. */
  readonly effort?: number | 'once';
  /** Why the law does not apply to this fixture; `null` when it does. */
  notApplicable?(fixture: Fixture): string | null;
  /** What a run draws. */
  example(fixture: Fixture): Arbitrary<Example>;
  /**
   * The check frees its tensors itself, and what it leaves is a leak. Default false: whatever it makes is freed after it,
   * as by `tf.tidy`.
   */
  readonly freesItself?: boolean;
  /**
   * Throws a {@link BrokenLaw} when the law does not hold for an example. `fc.pre(false)` passes over an example to which
   * the law does not apply. Numbers are read with `await`, since some backends cannot wait for their device.
   */
  check(fixture: Fixture, example: Example): Promise<void> | void;
}

/** Keeps the type of the example between `example` and `check` while laws of all kinds share one list. */
export function law<Fixture, Example>(definition: Law<Fixture, Example>): Law<Fixture> {
  return definition as unknown as Law<Fixture>;
}

/** The same for laws of whole optimizers, which own their state. */
export function optimizerLaw<Fixture, Example>(definition: Law<Fixture, Example>): Law<Fixture> {
  return law({ ...definition, freesItself: true });
}

/** A law does not hold. The message says what was expected and what was found, in numbers. */
export class BrokenLaw extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BrokenLaw';
  }
}

/** Throws a {@link BrokenLaw} unless the condition holds. */
export function require(condition: boolean, message: () => string): void {
  if (!condition) throw new BrokenLaw(message());
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

/**
 * The options with which a factory makes its part again, as a configuration file would: those that the part describes
 * itself by, through JSON. A factory that takes others, and translates them, is asked with what was drawn: it is one when
 * the part has options and none of them is among those drawn.
 */
export function optionsToRemake(drawn: unknown, own: object): unknown {
  const names = Object.keys((drawn ?? {}) as object);
  const translated = Object.keys(own).length > 0 && names.length > 0 && !names.some(name => name in own);
  return JSON.parse(JSON.stringify((translated ? drawn : own) ?? null));
}

/** Whether JSON gives back what it is given: no functions, maps, sets, NaN or infinities anywhere in it. */
export function survivesJson(value: unknown): boolean {
  if (typeof value === 'function' || value instanceof Map || value instanceof Set) return false;
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(survivesJson);
}
