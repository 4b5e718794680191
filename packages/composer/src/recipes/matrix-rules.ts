import type { Rule } from '@frugaljs/core';
import { normalizedSgd, type SinkGdOptions, sinkGd as sinkGdRule } from '@frugaljs/state-free';
import {
  type FoamOptions,
  foam as foamRule,
  type LdAdamOptions,
  ldAdam as ldAdamRule,
  type MuonOptions,
  muon as muonRule,
  type SoapOptions,
  sgdm,
  soap as soapRule,
} from '@frugaljs/state-full';
import { residual } from '../combine/residual.js';
import { groupMatching } from '../groups.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import type { Match } from '../options.js';
import { subspace } from '../subspace.js';
import { normalized } from '../wrappers.js';
import { FRUGAL_MUON_OPTIONS, MATRIX_OPTIONS, SCALE_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseProjector,
  chooseRule,
  composeScoped,
  composeSettings,
  decayOf,
  ofOption,
  type ProjectorChoice,
  type RuleChoice,
  requireRecipeOptions,
  type SubspaceScope,
  scopedProjector,
} from './settings.js';

// Rules that are made for hidden matrices, each with AdamW for all that is none.

/** What all of them take. */
export interface MatrixRecipeOptions extends CommonOptions, Omit<SubspaceScope, 'convolutions'> {
  /** The rule for all that is not a hidden matrix. Default adamW. */
  readonly rest?: RuleChoice;
  /** Factor on the learning rate of hidden matrices, relative to that of the rest. */
  readonly lrScale?: number;
}

type OnMatrices<Name extends string, Options> = (
  options?: MatrixRecipeOptions & { readonly [K in Name]?: Options },
) => ComposedOptimizer;

/** A recipe whose options of the rule are under its name. */
function onMatrices<Name extends keyof typeof MATRIX_OPTIONS, Options>(
  name: Name,
  rule: (options: Options) => Rule,
  defaultRate: number,
): OnMatrices<Name, Options> {
  const table = MATRIX_OPTIONS[name];
  return (options = {} as never) => {
    requireRecipeOptions(name, options, table as never);
    const { rest = 'adamW', lrScale = table.lrScale.default as number } = options;
    const use = chooseOwn(`${name}.${name}`, rule, options[name] as Options | undefined);
    return composeScoped(name, options, defaultRate, { use, lrScale }, { use: chooseRule(`${name}.rest`, rest) });
  };
}

/**
 * Muon on hidden matrices and AdamW on everything else, as its author uses it. Learning rate 1e-3 by default, and 20 times
 * that for Muon.
 *
 * Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
 */
export const muon: OnMatrices<'muon', MuonOptions> = onMatrices('muon', muonRule, 1e-3);

/**
 * FOAM: moments that neighbors share, on hidden matrices, and AdamW on everything else. Learning rate 0.01 by default, and a
 * quarter of that for FOAM, its α.
 *
 * Source: "FOAM: Blocked State Folding for Memory-Efficient LLM Training", 2025 (arXiv 2512.07112).
 */
export const foam: OnMatrices<'foam', FoamOptions> = onMatrices('foam', foamRule, 0.01);

/**
 * LDAdam: Adam in a subspace that moves at every step, with feedback, on hidden matrices, and AdamW on everything else.
 * Learning rate 1e-3 by default.
 *
 * Source: Robert et al., "LDAdam: Adaptive Optimization from Low-Dimensional Gradient Statistics", ICLR 2025
 * (arXiv 2410.16103).
 */
export const ldAdam: OnMatrices<'ldAdam', LdAdamOptions> = onMatrices('ldAdam', ldAdamRule, 1e-3);

/**
 * SOAP: Adam in the eigenbasis of Shampoo's factors on hidden matrices, and AdamW on everything else. More state than AdamW,
 * not less: for comparison. Learning rate 3e-3 by default.
 *
 * Source: Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", ICLR 2025 (arXiv 2409.11321).
 */
export const soap: OnMatrices<'soap', SoapOptions> = onMatrices('soap', soapRule, 3e-3);

/**
 * SinkGD: gradients of which rows and columns are normalized in turns, without state, on hidden matrices, and AdamW on
 * everything else. Learning rate 0.02 by default, and 0.05 times that for matrices.
 *
 * Source: Scetbon et al., "Gradient Multi-Normalization for Stateless and Scalable LLM Training", 2025 (arXiv 2502.06742).
 */
export const sinkGd: OnMatrices<'sinkGd', SinkGdOptions> = onMatrices('sinkGd', sinkGdRule, 0.02);

export interface ScaleOptions extends CommonOptions {
  /** Momentum of the output layer. Default 0.9. */
  readonly momentum?: number;
  /** The axis of the outputs: `row` in matrices (out, in), `column` in those of tf.layers. Default `row`. */
  readonly outputAxis?: 'row' | 'column';
  /** The embeddings, normalized per feature. Default: names with embed. */
  readonly embeddings?: Match;
  /** The output layer. Default: names with lm_head, logits or classifier. */
  readonly lastLayer?: Match;
  /** The rule for vectors. Default adamW. */
  readonly rest?: RuleChoice;
}

/**
 * SCALE: gradients with outputs of root mean square 1, without state, momentum before that in the output layer alone, and
 * AdamW on vectors. Learning rate 1e-3 by default, for all. ε is added to the size, where the official code has the larger
 * of both.
 *
 * Source: Glentis et al., "SCALE", ICML 2026 (arXiv 2506.16659).
 */
export function scale(options: ScaleOptions = {}): ComposedOptimizer {
  requireRecipeOptions('scale', options, SCALE_OPTIONS);
  const { momentum = 0.9, outputAxis: per = 'row', rest = 'adamW' } = options;
  const { embeddings = { name: /embed/i, minRank: 2 }, lastLayer = /lm_head|logits|classifier/i } = options;
  const decay = decayOf(options);
  const last = normalized(sgdm({ momentum, convention: 'ema' }), { per, size: 'rms' });
  return compose({
    ...composeSettings('scale', options, 1e-3),
    groups: [
      { match: { maxRank: 1 }, use: chooseRule('scale.rest', rest), optional: true, ...decay },
      groupMatching('scale.embeddings', embeddings, {
        use: normalizedSgd({ per: 'column', norm: 'rms' }),
        optional: options.embeddings === undefined,
        ...decay,
      }),
      groupMatching('scale.lastLayer', lastLayer, { use: last, optional: options.lastLayer === undefined, ...decay }),
      { use: normalizedSgd({ per, norm: 'rms' }), optional: true, ...decay },
    ],
  });
}

export interface FrugalMuonOptions extends MatrixRecipeOptions, SubspaceScope {
  /** Options of the rule `muon`. */
  readonly muon?: MuonOptions;
  /** Share of the projectable parameters that has state, from 0 to 1. Default 0.25. */
  readonly density?: number;
  /** The subspace: a projector of matrices, its JSON, or a name that takes `density`. Default `rows`. */
  readonly projector?: ProjectorChoice;
  /** The rule for the rest of the gradient. Default signSgd. */
  readonly stateFree?: RuleChoice;
  /** Factor on the learning rate of the state-free part, relative to Muon's. Default 0.05, the rate of the rest. */
  readonly stateFreeScale?: number;
  /** Updates between two choices of the subspace (T). Default 200. */
  readonly updateGap?: number;
}

/**
 * FRUGAL with Muon for its state-full rule: the momentum of a small subspace of every hidden matrix is orthogonalized
 * there, the rest of the gradient goes to a state-free rule. The subspace must be of whole rows or columns, or dense, since
 * Muon takes matrices.
 */
export function frugalMuon(options: FrugalMuonOptions = {}): ComposedOptimizer {
  requireRecipeOptions('frugalMuon', options, FRUGAL_MUON_OPTIONS);
  const { density = 0.25, projector = 'rows', stateFree = 'signSgd', stateFreeScale = 0.05 } = options;
  const { updateGap = 200, rest = 'adamW', lrScale = 20 } = options;
  const use = subspace({
    projector: scopedProjector(options, chooseProjector('frugalMuon.projector', projector, { density })),
    rule: chooseOwn('frugalMuon.muon', muonRule, options.muon),
    combine: residual(chooseRule('frugalMuon.stateFree', stateFree), { scale: stateFreeScale }),
    refresh: { every: updateGap },
  });
  return composeScoped('frugalMuon', options, 1e-3, { use, lrScale }, { use: chooseRule('frugalMuon.rest', rest) });
}

/** The rule of a recipe, with options of its own. */
function chooseOwn<Options>(option: string, rule: (options: Options) => Rule, given: Options = {} as Options): Rule {
  const kind = option.split('.').at(-1);
  return ofOption(option, given, `options of the rule ${kind}`, () => rule(given));
}
