import { dispose, keep, type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';
import type { LlamaConfig } from './config.js';
import { causalMask } from './ops/attention.js';
import { type RotaryTables, rotaryTables } from './ops/rotary.js';
import { rotaryFrequencies } from './rotary-frequencies.js';

/** The constants of a forward pass that depend on the sequence length alone. */
export interface LengthTables {
  /** Includes the `1/√headDim` of attention. */
  readonly query: RotaryTables;
  readonly key: RotaryTables;
  readonly mask: Tensor2D;
}

/** Builds {@link LengthTables} once per sequence length and keeps them until `dispose`. */
export class PositionTables {
  readonly #headDim: number;
  readonly #frequencies: Float64Array;
  readonly #byLength: Map<number, LengthTables> = new Map();

  constructor(config: LlamaConfig) {
    const { head_dim: headDim, rope_theta: theta, rope_scaling: scaling = null } = config;
    this.#headDim = headDim;
    this.#frequencies = rotaryFrequencies(headDim, theta, scaling);
  }

  get(length: number): LengthTables {
    let tables = this.#byLength.get(length);
    if (tables === undefined) {
      const scale = 1 / Math.sqrt(this.#headDim);
      tables = {
        query: this.#rotary(length, scale),
        key: this.#rotary(length, 1),
        mask: keep(tensor2d(causalMask(length), [length, length])),
      };
      this.#byLength.set(length, tables);
    }
    return tables;
  }

  dispose(): void {
    for (const { query, key, mask } of this.#byLength.values()) {
      dispose([query.cosines, query.sines, key.cosines, key.sines, mask]);
    }
    this.#byLength.clear();
  }

  #rotary(length: number, scale: number): RotaryTables {
    const { cosines, sines } = rotaryTables(length, this.#frequencies, scale);
    return {
      cosines: keep(tensor2d(cosines, [length, this.#headDim])),
      sines: keep(tensor2d(sines, [length, this.#headDim])),
    };
  }
}
