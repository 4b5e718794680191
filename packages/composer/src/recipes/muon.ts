import { type MuonOptions, muon as muonRule } from '@frugaljs/state-full';
import { residual } from '../combine/residual.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { FRUGAL_MUON_OPTIONS, MUON_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseProjector,
  chooseRule,
  composeSettings,
  decayOf,
  ofOption,
  type ProjectorChoice,
  type RuleChoice,
  requireRecipeOptions,
  type SubspaceScope,
  scopedGroups,
  scopedProjector,
} from './settings.js';

export interface MuonRecipeOptions extends CommonOptions, Omit<SubspaceScope, 'convolutions'> {
  /** Options of the rule `muon`. */
  readonly muon?: MuonOptions;
  /** The rule for all that is not a hidden matrix. Default adamW. */
  readonly rest?: RuleChoice;
  /** Factor on the learning rate of Muon, relative to that of the rest. Default 20, as 0.02 stands to 0.001. */
  readonly lrScale?: number;
}

/**
 * Muon on hidden matrices and AdamW on everything else, as its author uses it. Learning rate 1e-3 by default, and 20 times
 * that for Muon.
 *
 * Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
 */
export function muon(options: MuonRecipeOptions = {}): ComposedOptimizer {
  requireRecipeOptions('muon', options, MUON_OPTIONS);
  const { rest = 'adamW', lrScale = 20 } = options;
  return compose({
    ...composeSettings('muon', options, 1e-3),
    groups: scopedGroups(
      'muon',
      options,
      { use: chooseMuon('muon.muon', options.muon), lrScale, ...decayOf(options) },
      { use: chooseRule('muon.rest', rest), ...decayOf(options) },
    ),
  });
}

export interface FrugalMuonOptions extends MuonRecipeOptions, SubspaceScope {
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
    rule: chooseMuon('frugalMuon.muon', options.muon),
    combine: residual(chooseRule('frugalMuon.stateFree', stateFree), { scale: stateFreeScale }),
    refresh: { every: updateGap },
  });
  return compose({
    ...composeSettings('frugalMuon', options, 1e-3),
    groups: scopedGroups(
      'frugalMuon',
      options,
      { use, lrScale, ...decayOf(options) },
      { use: chooseRule('frugalMuon.rest', rest), ...decayOf(options) },
    ),
  });
}

function chooseMuon(option: string, given: MuonOptions = {}) {
  return ofOption(option, given, 'options of muon, such as { momentum: 0.95 }', () => muonRule(given));
}
