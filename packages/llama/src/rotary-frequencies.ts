import type { RopeScaling } from './rope-setting.js';

/**
 * Radians per position by which each pair of channels of a head is turned: `f_i = theta^(-2i/headDim)` for
 * `i < headDim/2` (Su et al. 2021, section 3.2.2), scaled:
 *
 * - `linear`: `f_i / factor`;
 * - `llama3`: with the wavelength `λ_i = 2π/f_i` and `L = original_max_position_embeddings`, it is `f_i` where
 *   `λ_i < L/high_freq_factor`, `f_i / factor` where `λ_i > L/low_freq_factor`, and between
 *   `(1 - s) f_i/factor + s f_i` with `s = (L/λ_i - low_freq_factor) / (high_freq_factor - low_freq_factor)`, which
 *   joins the two without a jump. It is what the reference code of Llama 3.1 does (Meta, `llama-models`, 2024).
 *
 * @param scaling Null: not scaled.
 */
export function rotaryFrequencies(headDim: number, theta: number, scaling: RopeScaling | null): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => scaled(theta ** ((-2 * i) / headDim), scaling));
}

function scaled(frequency: number, scaling: RopeScaling | null): number {
  if (scaling === null) return frequency;
  const { rope_type: type, factor } = scaling;
  if (type === 'linear') return frequency / factor;
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: positions } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  // Below 0 the wavelength is a long one, above 1 a short one.
  const share = Math.min(1, Math.max(0, (positions / wavelength - low) / (high - low)));
  return (1 - share) * (frequency / factor) + share * frequency;
}
