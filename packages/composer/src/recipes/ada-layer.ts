import type { Rule } from '@frugaljs/core';
import { signSgd } from '@frugaljs/state-free';
import { type AdaLayerOptions, adaLayer as adaLayerRule, sgdm } from '@frugaljs/state-full';
import { groupMatching, requireMatch } from '../groups.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import type { Match } from '../options.js';
import { ADA_LAYER_OPTIONS } from './options.js';
import { type CommonOptions, composeSettings, decayOf, requireRecipeOptions } from './settings.js';

export interface AdaLayerRecipeOptions extends CommonOptions, Omit<AdaLayerOptions, 'per'> {
  /**
   * `everywhere`: one second moment per tensor for all parameters (Algorithm 1). `lastLayerAndNorms`: only the output
   * layer, with one second moment per output, and the normalizations are adaptive (Section 3.2). Default everywhere.
   */
  readonly adaptive?: 'everywhere' | 'lastLayerAndNorms';
  /** The rule for the rest under `lastLayerAndNorms`: bias-corrected EMA momentum, or signSGD as FRUGAL's authors tried. */
  readonly rest?: 'sgdm' | 'signSgd';
  /** Factor on the learning rate of the rest. Default 1. */
  readonly restScale?: number;
  /** The output layer. Default: names with lm_head, logits or classifier. */
  readonly lastLayer?: Match;
  /** The normalizations. Default: names with norm. */
  readonly norms?: Match;
  /** Whether an output of the last layer is a `row` (matrices (out, in)) or a `column` (kernels (in, out)). Default row. */
  readonly outputAxis?: 'row' | 'column';
}

/**
 * AdaLayer: Adam with one second moment per layer, or only where it matters. Learning rate 1e-3 by default.
 *
 * Source: Zhao et al., "Deconstructing What Makes a Good Optimizer for Language Models", 2024 (arXiv 2407.07972),
 * Algorithm 1 and Section 3.2.
 */
export function adaLayer(options: AdaLayerRecipeOptions = {}): ComposedOptimizer {
  requireRecipeOptions('adaLayer', options, ADA_LAYER_OPTIONS);
  const { adaptive = 'everywhere', rest = 'sgdm', restScale = 1, outputAxis = 'row' } = options;
  const { beta1, beta2, epsilon, normalization } = options;
  const given = { beta1, beta2, epsilon, normalization };
  const shared = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as typeof given;
  const everywhere = adaLayerRule(shared);
  const settings = composeSettings('adaLayer', options, 1e-3);
  const { lastLayer = /lm_head|logits|classifier/i, norms = /norm/i } = options;
  requireMatch('adaLayer.lastLayer', lastLayer);
  requireMatch('adaLayer.norms', norms);
  if (adaptive === 'everywhere') {
    return compose({ ...settings, groups: [{ use: everywhere, ...decayOf(options) }] });
  }
  const restRule: Rule =
    rest === 'signSgd'
      ? signSgd()
      : sgdm({ momentum: beta1 ?? 0.9, convention: 'ema', initial: 'zero', biasCorrection: true });
  return compose({
    ...settings,
    groups: [
      groupMatching('adaLayer.lastLayer', lastLayer, {
        use: adaLayerRule({ ...shared, per: outputAxis }),
        optional: options.lastLayer === undefined,
        ...decayOf(options),
      }),
      groupMatching('adaLayer.norms', norms, {
        use: everywhere,
        optional: options.norms === undefined,
        ...decayOf(options),
      }),
      { use: restRule, lrScale: restScale, ...decayOf(options) },
    ],
  });
}
