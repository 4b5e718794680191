import { linear, type OnRefresh, type Projector } from '@frugaljs/core';
import { varying } from '@frugaljs/projectors';
import { residual } from '../combine/residual.js';
import type { ComposedOptimizer } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { ADA_FRUGAL_OPTIONS, FRUGAL_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseProjector,
  chooseRule,
  composeScoped,
  type ProjectorChoice,
  type RuleChoice,
  requireRecipeOptions,
  type SubspaceScope,
  scopedProjector,
} from './settings.js';

export interface FrugalOptions extends CommonOptions, SubspaceScope {
  /** Share of the projectable parameters that has state, from 0 to 1. Default 0.25. */
  readonly density?: number;
  /** The subspace: a projector, its JSON, or a name that takes `density`. Default `rows`. */
  readonly projector?: ProjectorChoice;
  /** The rule in the subspace and for the parameters that are not projectable. Default adamW. */
  readonly stateFull?: RuleChoice;
  /** The rule for the rest of the gradient. Default signSgd. */
  readonly stateFree?: RuleChoice;
  /** Updates between two choices of the subspace (T). Default 200. */
  readonly updateGap?: number;
  /** Default `reset`. */
  readonly onRefresh?: OnRefresh;
  /** Factor on the learning rate of the state-free part, relative to the state-full one. Default 1. */
  readonly stateFreeScale?: number;
  /**
   * With a dense projector (svd, random, dct), entries of the residual up to `tolerance` times the largest of the gradient
   * count as 0, so that signs are not taken of rounding noise. Default 1e-6.
   */
  readonly tolerance?: number;
  /** Factor on the learning rate of the projectable parameters. Default 1. */
  readonly lrScale?: number;
}

/**
 * FRUGAL: a state-full rule in a small subspace of every matrix, a state-free rule on all the rest, and the state-full
 * rule on everything that is not a hidden matrix, or of which the subspace would have nothing. Learning rate 1e-3 by default.
 *
 * Source: Zmushko et al., "FRUGAL: Memory-Efficient Optimization by Reducing State Overhead for Scalable Training",
 * ICML 2025 (arXiv 2411.07837), Algorithm 1 in the form of Algorithm 4.
 */
export function frugal(options: FrugalOptions = {}): ComposedOptimizer {
  requireRecipeOptions('frugal', options, FRUGAL_OPTIONS);
  return composed('frugal', options);
}

function composed(name: string, options: FrugalOptions): ComposedOptimizer {
  const { density = 0.25, projector = 'rows', stateFull = 'adamW', stateFree = 'signSgd' } = options;
  const { updateGap = 200, onRefresh = 'reset', stateFreeScale = 1, tolerance = 1e-6, lrScale = 1 } = options;
  const rule = chooseRule(`${name}.stateFull`, stateFull);
  const hybrid = subspace({
    projector: scopedProjector(options, chooseProjector(`${name}.projector`, projector, { density })),
    rule,
    combine: residual(chooseRule(`${name}.stateFree`, stateFree), { scale: stateFreeScale, tolerance }),
    refresh: { every: updateGap },
    onRefresh,
  });
  return composeScoped(name, options, 1e-3, { use: hybrid, lrScale }, { use: rule });
}

export interface AdaFrugalOptions extends Omit<FrugalOptions, 'projector'> {
  /** The projector of a density: its name, or a function. Default `rows`. */
  readonly projector?: string | ((density: number) => Projector);
  /** The density in the end. Default 0.05. */
  readonly densityEnd?: number;
  /** Choices of the subspace until then. Default 100. */
  readonly refreshes?: number;
}

/**
 * AdaFRUGAL: FRUGAL with a density that falls in a line, from one choice of the subspace to the next, so that state shrinks
 * over the run. The authors also lengthen the interval where the validation loss stands still; here it is fixed, as an
 * optimizer sees no validation loss.
 *
 * Source: "AdaFRUGAL", 2026 (arXiv 2601.11568).
 */
export function adaFrugal(options: AdaFrugalOptions = {}): ComposedOptimizer {
  requireRecipeOptions('adaFrugal', options, ADA_FRUGAL_OPTIONS);
  const { density = 0.25, densityEnd = 0.05, refreshes = 100, projector = 'rows', ...rest } = options;
  const create =
    typeof projector === 'function'
      ? projector
      : (share: number) => chooseProjector('adaFrugal.projector', projector, { density: share });
  const falling = varying(create, linear({ from: density, to: densityEnd, steps: refreshes }));
  return composed('adaFrugal', { ...rest, projector: falling });
}
