import type { AlignedData } from 'uplot';
import type { Rival } from '../session/rival.js';

/** The fall of the first steps is cut off at this share of what was made, or it would press all else into a line. */
const CUT = 0.12;

/** The curves of a comparison as the chart takes them: steps, then loss and average of each optimizer. */
export class LossCurves {
  readonly #steps: number[] = [];
  readonly #raw: (number | null)[][];
  readonly #smooth: (number | null)[][];
  readonly #rivals: readonly Rival[];

  constructor(rivals: readonly Rival[]) {
    this.#rivals = rivals;
    this.#raw = rivals.map(() => []);
    this.#smooth = rivals.map(() => []);
  }

  /** Steps in the curves. */
  get length(): number {
    return this.#steps.length;
  }

  /** Takes in the steps made since the last call. */
  update(step: number): void {
    while (this.#steps.length < step) {
      const index = this.#steps.length;
      this.#steps.push(index + 1);
      for (const [i, { losses, averages }] of this.#rivals.entries()) {
        this.#raw[i]!.push(losses[index] ?? null);
        this.#smooth[i]!.push(averages[index] ?? null);
      }
    }
  }

  get data(): AlignedData {
    return [this.#steps, ...this.#raw, ...this.#smooth];
  }

  /** The average of a curve after so many steps; null before the first and after a divergence. */
  average(rival: number, step: number): number | null {
    return this.#smooth[rival]?.[step - 1] ?? null;
  }

  /** The last step and average of a curve; null if it has none. */
  end(rival: number): { readonly step: number; readonly loss: number } | null {
    const curve = this.#smooth[rival] ?? [];
    // A curve has no gaps: it ends where it diverged.
    let length = curve.length;
    while (length > 0 && curve[length - 1] === null) length--;
    return length === 0 ? null : { step: length, loss: curve[length - 1]! };
  }

  /** Losses to show, from bottom to top. */
  range(): [low: number, high: number] {
    const cut = Math.floor(CUT * this.length);
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const curve of this.#smooth) {
      for (let i = 0; i < curve.length; i++) {
        const loss = curve[i]!;
        if (loss === null) continue;
        if (loss < low) low = loss;
        if (i >= cut && loss > high) high = loss;
      }
    }
    if (!(low <= high)) return [0, 6];
    const padding = Math.max(0.05, 0.08 * (high - low));
    return [Math.max(0, low - padding), high + padding];
  }
}
