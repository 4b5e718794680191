import { expect, it } from 'vitest';
import type { RopeScaling } from '../src/index.js';
import { rotaryFrequencies } from '../src/ops.js';

// Powers of 1/16, of wavelengths 2π · 1, 16, 256, 4096.
const HEAD_DIM = 8;
const THETA = 65536;
const plain = [1, 1 / 16, 1 / 256, 1 / 4096];

const close = (actual: Float64Array, expected: readonly number[]): void => {
  expect(actual).toHaveLength(expected.length);
  for (const [i, frequency] of expected.entries()) expect(actual[i]! / frequency).toBeCloseTo(1, 12);
};

it('are powers of the base', () => close(rotaryFrequencies(HEAD_DIM, THETA, null), plain));

it('scaled linearly are all divided by the factor', () => {
  close(
    rotaryFrequencies(HEAD_DIM, THETA, { rope_type: 'linear', factor: 5 }),
    plain.map(frequency => frequency / 5),
  );
});

it('of Llama 3 are whole, blended, and divided by the factor, from the shortest wavelength to the longest', () => {
  // Short: below 1024π / 4. Long: above 1024π / 1. Between, at 2π · 256: s = (1024π / 512π - 1) / (4 - 1) = 1/3, and
  // the frequency 1/256 · (2/3 · 1/8 + 1/3) = 1/256 · 5/12. At 2π · 16 = 32π and at 2π · 4096 nothing is blended.
  const scaling: RopeScaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 1024 * Math.PI,
  };
  close(rotaryFrequencies(HEAD_DIM, THETA, scaling), [1, 1 / 16, 5 / 12 / 256, 1 / 8 / 4096]);
});

it('of Llama 3.2 are the published ones', () => {
  // head_dim 64, base 500000, factor 32, positions 8192: of the wavelengths 2π · 500000^(i/32), those up to i = 14
  // (1956.5) are below 2048, those from i = 18 (10089.1) are above 8192, and the three between are blended.
  const scaling: RopeScaling = {
    rope_type: 'llama3',
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  const frequencies = rotaryFrequencies(64, 500000, scaling);
  const unscaled = rotaryFrequencies(64, 500000, null);
  const ratios = Array.from(frequencies, (frequency, i) => frequency / unscaled[i]!);
  expect(ratios.slice(0, 15)).toEqual(Array(15).fill(1));
  expect(ratios.slice(18)).toEqual(Array(14).fill(1 / 32));
  // At i = 15: wavelength 2π · 469.2369 = 2948.3026, s = (8192/2948.3026 - 1)/3 = 0.5928493, (1 - s)/32 + s.
  expect(ratios[15]).toBeCloseTo(0.6055728, 6);
  expect(ratios[15]! > ratios[16]! && ratios[16]! > ratios[17]!).toBe(true);
});
