import type { CheckLimits, CheckReport, CheckResult, FiniteCheck, NumberedGradient } from '@frugaljs/core';
import {
  add,
  clipByValue,
  dispose,
  div,
  equal,
  greater,
  isNaN as isNaNTensor,
  keep,
  logicalAnd,
  minimum,
  mul,
  onesLike,
  scalar,
  sqrt,
  square,
  stack,
  sub,
  sum,
  type Tensor,
  tidy,
  where,
} from '@tensorflow/tfjs-core';

/** A sum of squares beyond this has overflowed; that of entries times {@link SMALL} is then taken. */
const LARGEST = 3.4e38;
const SMALL: number = 2 ** -80;

/** No gradient has this number. */
const NONE = 2 ** 24;

/** Judges gradients by tfjs operations alone, on every backend and without reading anything back. */
export class TensorJudge implements FiniteCheck {
  private withheld: Tensor = keep(scalar(0));
  /** The number of the gradient that halted, from 1; 0 while there is none. */
  private halted: Tensor = keep(scalar(0));
  private disposed = false;
  /** Verdicts that were not reported, one tensor per update. */
  private unreported: Tensor[] = [];

  check(gradients: readonly NumberedGradient[], limits: CheckLimits): CheckResult {
    const { clipValue, globalNorm, onNonFinite } = limits;
    let factor: Tensor | null = null;
    let proceed: Tensor | null = null;
    tidy(() => {
      if (globalNorm !== undefined) factor = keep(factorOf(gradients, clipValue, globalNorm));
      if (onNonFinite === 'ignore') return;
      const bad = firstBad(gradients);
      const isGood = equal(bad, NONE);
      const isNew = logicalAnd(equal(this.halted, 0), greater(NONE, bad));
      const halted = onNonFinite === 'halt' ? where(isNew, add(bad, 1), this.halted) : this.halted.clone();
      const goes = onNonFinite === 'halt' ? equal(halted, 0) : isGood;
      proceed = keep(where(goes, onesLike(bad), scalar(0)));
      this.unreported.push(keep(proceed.clone()));
      this.replace(add(this.withheld, sub(1, proceed)), halted);
    });
    return { factor, proceed };
  }

  async report(): Promise<CheckReport> {
    // A copy: the next update replaces the tensors.
    const latest = this.unreported;
    this.unreported = [];
    const numbers = [this.withheld, this.halted, ...latest];
    const read = tidy(() => keep(stack(numbers)));
    dispose(latest);
    try {
      const [withheld, halted, ...proceeds] = await read.data();
      return {
        skipped: withheld!,
        halted: halted === 0 ? null : halted! - 1,
        latest: proceeds.map(each => each === 0),
      };
    } finally {
      read.dispose();
    }
  }

  resume(): void {
    tidy(() => this.replace(this.withheld.clone(), scalar(0)));
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.withheld.dispose();
    this.halted.dispose();
    dispose(this.unreported);
  }

  private replace(withheld: Tensor, halted: Tensor): void {
    this.withheld.dispose();
    this.halted.dispose();
    this.withheld = keep(withheld);
    this.halted = keep(halted);
  }
}

function factorOf(gradients: readonly NumberedGradient[], clipValue: number | undefined, globalNorm: number): Tensor {
  const limited = (g: Tensor): Tensor => (clipValue === undefined ? g : clipByValue(g, -clipValue, clipValue));
  const squares = (times: number): Tensor =>
    gradients
      .map(({ gradient }) => sum(square(times === 1 ? limited(gradient) : mul(limited(gradient), times))))
      .reduce((a, b) => add(a, b));
  const whole = squares(1);
  const isLarge = greater(whole, LARGEST);
  const norm = add(sqrt(where(isLarge, squares(SMALL), whole)), where(isLarge, scalar(1e-6 * SMALL), scalar(1e-6)));
  const factor = div(where(isLarge, scalar(globalNorm * SMALL), scalar(globalNorm)), norm);
  // A norm that is NaN stays so.
  return where(greater(factor, 1), onesLike(factor), factor);
}

/** The smallest number of a gradient with NaN or Inf, for which x · 0 is NaN; {@link NONE} when there is none. */
function firstBad(gradients: readonly NumberedGradient[]): Tensor {
  return gradients
    .map(({ id, gradient }) => where(isNaNTensor(sum(mul(gradient, 0))), scalar(id), scalar(NONE)))
    .reduce((a, b) => minimum(a, b));
}
