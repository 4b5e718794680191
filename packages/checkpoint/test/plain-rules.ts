// Rules as loops over arrays of float64, written from the formulas and without anything of this library: what a run should
// have come to where its composition is one of these.

/** One parameter under one rule. */
interface Plain {
  step(w: Float64Array, g: Float64Array, rate: number): void;
}

const PLAIN: Readonly<Record<string, () => Plain>> = {
  adamW: () => new PlainAdamW(0.1),
  lion: () => {
    const m: number[] = [];
    return {
      step: (w, g, rate) => {
        for (let i = 0; i < w.length; i++) {
          const before = m[i] ?? 0;
          w[i]! -= rate * Math.sign(0.9 * before + 0.1 * g[i]!);
          m[i] = 0.99 * before + 0.01 * g[i]!;
        }
      },
    };
  },
  sgd: () => ({
    step: (w, g, rate) => {
      for (let i = 0; i < w.length; i++) w[i]! -= rate * g[i]!;
    },
  }),
  signSgd: () => ({
    step: (w, g, rate) => {
      for (let i = 0; i < w.length; i++) w[i]! -= rate * Math.sign(g[i]!);
    },
  }),
};

/** A round as one variable sees it. */
export interface PlainRound {
  /** Null where the variable had none. */
  readonly gradient: Float32Array | null;
  readonly rate: number;
  /** It is skipped as a whole, since some gradient is not finite. */
  readonly isBad: boolean;
}

/** What of a run the loops depend on. */
interface PlainRun {
  readonly composition: string;
  readonly accumulate: number;
  readonly clip: number | null;
}

/** The weights of one variable after the rounds; null where the composition is no plain rule. */
export function plainWeights(run: PlainRun, start: Float32Array, rounds: readonly PlainRound[]): Float64Array | null {
  const make = PLAIN[run.composition];
  // The norm is that of all variables together.
  if (make === undefined || run.clip !== null) return null;
  const rule = make();
  const w = Float64Array.from(start);
  let summed = 0;
  let sum: Float64Array | null = null;
  for (const { gradient, rate, isBad } of rounds) {
    if (isBad) continue;
    if (gradient !== null) {
      const before: Float64Array = sum ?? new Float64Array(gradient.length);
      sum = before.map((value, i) => value + gradient[i]!);
    }
    summed += 1;
    if (summed < run.accumulate) continue;
    if (sum !== null)
      rule.step(
        w,
        sum.map(value => value / run.accumulate),
        rate,
      );
    summed = 0;
    sum = null;
  }
  return w;
}

/** AdamW with decoupled weight decay, β = (0.9, 0.999), ε = 1e-8 after the correction. */
class PlainAdamW implements Plain {
  private t = 0;
  private readonly m: number[] = [];
  private readonly v: number[] = [];

  constructor(private readonly decay: number) {}

  step(w: Float64Array, g: Float64Array, rate: number): void {
    this.t += 1;
    const { m, v, t } = this;
    for (let i = 0; i < w.length; i++) {
      m[i] = 0.9 * (m[i] ?? 0) + 0.1 * g[i]!;
      v[i] = 0.999 * (v[i] ?? 0) + 0.001 * g[i]! * g[i]!;
      const direction = m[i]! / (1 - 0.9 ** t) / (Math.sqrt(v[i]! / (1 - 0.999 ** t)) + 1e-8);
      w[i] = (1 - rate * this.decay) * w[i]! - rate * direction;
    }
  }
}
