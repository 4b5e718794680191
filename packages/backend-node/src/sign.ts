import type { Eager } from './eager.js';
import type { Output } from './node-backend.js';

/** The smallest number that is not zero in TensorFlow: every other one, clipped to it and its negative, is one of them. */
const SMALLEST = 2 ** -126;

/** The largest float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** More than 1 / SMALLEST. */
const LARGE = 3e38;

/** The first TensorFlow whose Sign uses vector instructions on processors. */
const VECTORIZED = [2, 12] as const;

/**
 * The sign of every entry: -1, 0 or 1. On processors the operation Sign of older builds, such as the 2.9.1 that tfjs-node
 * 4.22 downloads, decides entry by entry, and on gradients takes about four times as long as two operations that have the
 * same result: times a large number, clipped to [-1, 1].
 */
export class Sign {
  private readonly inTwo: boolean;
  private clips: boolean | null = null;

  constructor(private readonly eager: Eager) {
    const { binding, isUsingGpuDevice } = eager.backend;
    this.inTwo = !isUsingGpuDevice && isBefore(binding.TF_Version, VECTORIZED);
  }

  of(x: number): Output {
    const { eager } = this;
    if (!this.inTwo) return eager.run('Sign', [x]);
    const scaled = eager.run('Mul', [x, eager.scalar(LARGE)]);
    const sign = eager.run('ClipByValue', [scaled.id, eager.scalar(-1), eager.scalar(1)]);
    eager.delete(scaled.id);
    return sign;
  }

  /**
   * The sign of every entry times a unit that is a power of two, in one operation, for whoever multiplies it by a number
   * anyway: that number is divided by the unit, which changes no digit of the product.
   *
   * @param factor The number.
   * @returns `null` when this is not possible: divided by the unit the number would be infinite, or TensorFlow clips in
   * another way.
   */
  inUnits(x: number, factor: number): { readonly value: Output; readonly unit: number } | null {
    const { eager } = this;
    if (Math.abs(factor) / SMALLEST > LARGEST) return null;
    this.clips ??= this.clipsExactly();
    if (!this.clips) return null;
    const value = eager.run('ClipByValue', [x, eager.scalar(-SMALLEST), eager.scalar(SMALLEST)]);
    return { value, unit: SMALLEST };
  }

  /** Some builds may lose NaN, and devices the smallest numbers. */
  private clipsExactly(): boolean {
    const { eager } = this;
    const { binding } = eager.backend;
    // More than vector instructions take at once.
    const given = Float32Array.from({ length: 37 }, (_, i) => [Number.NaN, SMALLEST, -1, 0][i % 4]!);
    const x = binding.createTensor([given.length], binding.TF_FLOAT, given.slice());
    const clipped = eager.run('ClipByValue', [x, eager.scalar(-SMALLEST), eager.scalar(SMALLEST)]);
    const found = binding.tensorDataSync(clipped.id);
    for (const id of [x, clipped.id]) eager.delete(id);
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
