import { InvalidOptionError, requireInteger, requireKnownKeys, requireNumber, requireOneOf } from '@frugaljs/core';

/** What shares one second moment. */
export type AdamMiniBlock = 'element' | 'row' | 'column' | 'tensor';

export interface AdamMiniOptions {
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /**
   * What shares one second moment. Default `row`: one per output of a matrix (out, in), and one for a whole vector.
   * For the (in, out) kernels of tf.layers use `column`.
   */
  readonly block?: AdamMiniBlock;
  /**
   * For queries and keys: the rows (with `block: 'column'` the columns) form this many contiguous groups of equal size,
   * each with one second moment. `null` for no grouping. Default null.
   */
  readonly heads?: number | null;
}

/** {@link AdamMiniOptions} with the defaults filled in. */
export type FilledAdamMiniOptions = Required<AdamMiniOptions>;

/** Checks the options and fills in the defaults. */
export function completeAdamMiniOptions(options: AdamMiniOptions): FilledAdamMiniOptions {
  requireKnownKeys('adamMini', options, ['beta1', 'beta2', 'epsilon', 'block', 'heads']);
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, block = 'row', heads = null } = options;
  requireNumber('adamMini.beta1', beta1, '[0, 1)');
  requireNumber('adamMini.beta2', beta2, '[0, 1)');
  requireNumber('adamMini.epsilon', epsilon, '[0, Infinity)');
  requireOneOf('adamMini.block', block, ['element', 'row', 'column', 'tensor']);
  if (heads !== null) {
    requireInteger('adamMini.heads', heads, 1);
    if (block !== 'row' && block !== 'column') {
      throw new InvalidOptionError({
        parameter: 'adamMini.heads',
        found: `${heads} with block ${block}`,
        expected: "block 'row' or 'column', which the heads group",
      });
    }
  }
  return { beta1, beta2, epsilon, block, heads };
}
