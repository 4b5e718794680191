import type { Arbitrary } from 'fast-check';

/**
 * One law: what must hold, why, when it does not apply, and the check itself.
 *
 * @typeParam Subject What is tested: a factory with the options of its suite.
 * @typeParam Example What one run draws; the shape comes first, so that it shrinks first.
 */
export interface Law<Subject, Example = unknown> {
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
  /** Why the law does not apply to this subject; `null` when it does. */
  lifted?(subject: Subject): string | null;
  /** What a run draws. */
  example(subject: Subject): Arbitrary<Example>;
  /**
   * The check frees its tensors itself, and what it leaves is a leak. Default false: whatever it makes is freed after it,
   * as by `tf.tidy`.
   */
  readonly freesItself?: boolean;
  /**
   * Throws a {@link BrokenLaw} when the law does not hold for an example. `fc.pre(false)` passes over an example to which
   * the law does not apply. Numbers are read with `await`, since some backends cannot wait for their device.
   */
  check(subject: Subject, example: Example): Promise<void> | void;
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

/** Keeps the type of the example between `example` and `check` while laws of all kinds share one list. */
export function law<Subject, Example>(definition: Law<Subject, Example>): Law<Subject> {
  return definition as unknown as Law<Subject>;
}

/** The same for laws of whole optimizers, which own their state. */
export function optimizerLaw<Subject, Example>(definition: Law<Subject, Example>): Law<Subject> {
  return law({ ...definition, freesItself: true });
}
