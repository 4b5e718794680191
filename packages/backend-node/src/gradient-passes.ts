import type { Tensor } from '@tensorflow/tfjs-core';
import type { Eager } from './eager.js';

/** Passes over gradients that end with one number on the host. */
export class GradientPasses {
  constructor(private readonly eager: Eager) {}

  isFinite(gradient: Tensor): boolean {
    const { id } = this.eager.stored(gradient);
    // NaN and Inf do not vanish from a sum. It may overflow, and only then is every entry asked.
    return Number.isFinite(this.eager.read(this.reduced('Sum', id, gradient.rank))) || this.allFinite(id);
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number | undefined): number {
    const ids = gradients.map(gradient => this.eager.stored(gradient).id);
    const plain = this.total(ids.map(id => this.halfSquares(id)));
    if (Number.isFinite(plain) && clipValue === undefined) return plain;
    if (!Number.isFinite(plain) && !ids.every(id => this.allFinite(id))) return Number.NaN;
    return clipValue === undefined ? this.scaledSquares(ids) : this.clippedSquares(ids, clipValue);
  }

  private reduced(name: 'Sum' | 'Max', id: number, rank: number): number {
    const { eager } = this;
    const axes = eager.int32(Array.from({ length: rank }, (_, axis) => axis));
    return eager.run(name, [id, axes]).id;
  }

  private halfSquares(id: number): number {
    return this.eager.run('L2Loss', [id]).id;
  }

  /** Twice the sum of numbers on the device, which are deleted; one read. */
  private total(halves: readonly number[]): number {
    const { eager } = this;
    const sum = eager.run('AddN', halves, [eager.type('T'), eager.integer('N', halves.length)]);
    for (const id of halves) eager.delete(id);
    return 2 * eager.read(sum.id);
  }

  private allFinite(id: number): boolean {
    return Number.isFinite(this.largest(id));
  }

  /** The largest magnitude; not finite if an entry is not. */
  private largest(id: number): number {
    const { eager } = this;
    // 0 · x is NaN for NaN and ±Inf: no build's maximum would need to pass NaN on.
    const zeros = eager.run('Mul', [id, eager.scalar(0)]);
    const remainder = eager.read(this.halfSquares(zeros.id));
    eager.delete(zeros.id);
    if (remainder !== 0) return Number.NaN;
    const magnitudes = eager.run('Abs', [id]);
    const largest = this.reduced('Max', magnitudes.id, magnitudes.shape.length);
    eager.delete(magnitudes.id);
    return eager.read(largest);
  }

  /** For entries whose squares overflow float32: they are scaled before, and their sum after. */
  private scaledSquares(ids: readonly number[]): number {
    const { eager } = this;
    return ids.reduce((sum, id) => {
      const largest = this.largest(id);
      if (largest === 0) return sum;
      const scaled = eager.run('RealDiv', [id, eager.scalar(largest)]);
      const squares = this.total([this.halfSquares(scaled.id)]);
      eager.delete(scaled.id);
      return sum + largest * largest * squares;
    }, 0);
  }

  private clippedSquares(ids: readonly number[], clipValue: number): number {
    const { eager } = this;
    const halves = ids.map(id => {
      const clipped = eager.run('ClipByValue', [id, eager.scalar(-clipValue), eager.scalar(clipValue)]);
      const half = this.halfSquares(clipped.id);
      eager.delete(clipped.id);
      return half;
    });
    return this.total(halves);
  }
}
