// What an official class is read into, and the reader of its arguments.
import type { ComposeOptions } from '@frugaljs/composer';
import { InvalidOptionError, requireBoolean, requireInteger, requireNumber, requireOneOf } from '@frugaljs/core';

/** What replays some of the parameters of a case: a composition, and what it must be told from outside. */
export interface Plan {
  /** Positions of the parameters in the case. */
  readonly parameters: readonly number[];
  readonly composition: ComposeOptions;
  /** Per step, what the update counter must be; absent: what it is. */
  readonly updatesBefore?: readonly number[];
  /** The learning rate of the coming step, for official classes that derive it from the parameter. */
  readonly learningRate?: (values: Float32Array) => number;
}

export interface PlanOptions {
  /** Take the singular vectors from the file and not from the gradient. */
  readonly recordedBases: boolean;
}

type Interval = Parameters<typeof requireNumber>[2];

/**
 * Reads the arguments of an official class by name, with the official defaults. Every argument must be asked for:
 * {@link finish} refuses the others, so that none is left out of a replay in silence.
 */
export class ConfigReader {
  private readonly asked = new Set<string>();

  constructor(
    private readonly official: string,
    private readonly config: Readonly<Record<string, unknown>>,
  ) {}

  has(name: string): boolean {
    return name in this.config;
  }

  number(name: string, fallback: number, interval: Interval): number {
    return requireNumber(this.label(name), this.value(name, fallback) as number, interval);
  }

  /** A number or `null` (Python's None). */
  numberOrNull(name: string, interval: Interval): number | null {
    const value = this.value(name, null);
    return value === null ? null : requireNumber(this.label(name), value as number, interval);
  }

  integer(name: string, fallback: number, minimum: number): number {
    return requireInteger(this.label(name), this.value(name, fallback) as number, minimum);
  }

  boolean(name: string, fallback: boolean): boolean {
    return requireBoolean(this.label(name), this.value(name, fallback) as boolean);
  }

  oneOf<const T extends string>(name: string, fallback: T, choices: readonly T[]): T {
    return requireOneOf(this.label(name), this.value(name, fallback) as T, choices);
  }

  pair(name: string, fallback: readonly [number, number], interval: Interval): readonly [number, number] {
    const value = this.value(name, fallback);
    if (!Array.isArray(value) || value.length !== 2) {
      throw new InvalidOptionError({ parameter: this.label(name), found: value, expected: 'a list of two numbers' });
    }
    return [0, 1].map(i => requireNumber(`${this.label(name)}[${i}]`, value[i], interval)) as [number, number];
  }

  /** Throws for a combination of arguments that the official class refuses or fails on. */
  refuse(name: string, expected: string): never {
    throw new InvalidOptionError({ parameter: this.label(name), found: this.config[name], expected });
  }

  /** @throws InvalidOptionError for arguments that nobody asked for. */
  finish(): void {
    const unknown = Object.keys(this.config).find(name => !this.asked.has(name));
    if (unknown === undefined) return;
    throw new InvalidOptionError({
      parameter: this.label(unknown),
      found: this.config[unknown],
      expected: `only arguments of ${this.official}: ${[...this.asked].join(', ')}`,
    });
  }

  private value(name: string, fallback: unknown): unknown {
    this.asked.add(name);
    return this.has(name) ? this.config[name] : fallback;
  }

  private label(name: string): string {
    return `${this.official}: config.${name}`;
  }
}
