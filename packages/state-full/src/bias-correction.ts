/** The two numbers by which Adam makes up for averages that start at 0. */
export interface BiasCorrections {
  /** 1 / (1 - β₁ᵗ), for m. */
  readonly correction1: number;
  /** 1 / √(1 - β₂ᵗ), for √v. */
  readonly correction2: number;
}

/** Bias corrections of step t, counted from 1. */
export function biasCorrections(t: number, beta1: number, beta2: number): BiasCorrections {
  return { correction1: 1 / (1 - beta1 ** t), correction2: 1 / Math.sqrt(1 - beta2 ** t) };
}
