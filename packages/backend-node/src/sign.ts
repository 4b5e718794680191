import type { Eager } from './eager.js';
import type { Attribute, Output } from './node-backend.js';

/** The smallest number that is not zero in TensorFlow: every other one, limited to it and its negative, is one of them. */
const SMALLEST = 2 ** -126;

/** The largest float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** The first TensorFlow whose Sign and ClipByValue use vector instructions on processors. */
const VECTORIZED = [2, 12] as const;

/**
 * The sign of every entry: -1, 0 or 1. On processors the operation Sign of older builds, such as the 2.9.1 that tfjs-node
 * 4.22 downloads, decides entry by entry; there two other operations that have the same result take a third of its time.
 */
export class Sign {
  /** Whether {@link of} takes two operations, because TensorFlow is old. */
  readonly takesTwo: boolean;
  /** For the quantization to -SMALLEST, 0 and SMALLEST, which old builds do faster than they clip. */
  private readonly levels: readonly Attribute[];
  private limitsExactly: boolean | null = null;

  constructor(private readonly eager: Eager) {
    const { binding, isUsingGpuDevice } = eager.backend;
    this.takesTwo = !isUsingGpuDevice && isBefore(binding.TF_Version, VECTORIZED);
    const bound = (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_FLOAT, value });
    this.levels = [
      ...[bound('min', -SMALLEST), bound('max', SMALLEST)],
      ...[eager.integer('num_bits', 2), eager.boolean('narrow_range', true)],
    ];
  }

  of(x: number): Output {
    const { eager } = this;
    if (!this.takesTwo || !this.isExact()) return eager.run('Sign', [x]);
    const limited = this.limited(x);
    const sign = eager.run('Mul', [limited.id, eager.scalar(1 / SMALLEST)]);
    eager.delete(limited.id);
    return sign;
  }

  /**
   * The sign of every entry times a unit that is a power of two, in one operation, for whoever multiplies it by a number
   * anyway: that number is divided by the unit, which changes no digit of the product.
   *
   * @param factor The number.
   * @returns `null` when this is not possible: divided by the unit the number would be infinite, or TensorFlow limits
   * numbers in another way.
   */
  inUnits(x: number, factor: number): { readonly value: Output; readonly unit: number } | null {
    if (Math.abs(factor) / SMALLEST > LARGEST || !this.isExact()) return null;
    return { value: this.limited(x), unit: SMALLEST };
  }

  private limited(x: number): Output {
    const { eager } = this;
    if (this.takesTwo) return eager.run('FakeQuantWithMinMaxArgs', [x], this.levels);
    return eager.run('ClipByValue', [x, eager.scalar(-SMALLEST), eager.scalar(SMALLEST)]);
  }

  /** Some builds may lose NaN, and devices the smallest numbers. */
  private isExact(): boolean {
    this.limitsExactly ??= this.tryLimits();
    return this.limitsExactly;
  }

  private tryLimits(): boolean {
    const { eager } = this;
    const { binding } = eager.backend;
    // More than vector instructions take at once.
    const given = Float32Array.from({ length: 41 }, (_, i) => [Number.NaN, SMALLEST, -1, 0, Infinity][i % 5]!);
    const x = binding.createTensor([given.length], binding.TF_FLOAT, given.slice());
    const limited = this.limited(x);
    const found = binding.tensorDataSync(limited.id);
    for (const id of [x, limited.id]) eager.delete(id);
    return given.every((value, i) => Object.is(found[i], Math.sign(value) * SMALLEST));
  }
}

/** Versions that say nothing of themselves are taken for new ones. */
function isBefore(version: string | undefined, [major, minor]: readonly [number, number]): boolean {
  const found = /^(\d+)\.(\d+)/
    .exec(version ?? '')
    ?.slice(1)
    .map(Number);
  return found !== undefined && (found[0]! < major || (found[0] === major && found[1]! < minor));
}
