import { type BlockwiseOptions, blockwise } from '@frugaljs/projectors';
import { drop } from '../combine/drop.js';
import type { Match } from '../groups.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import { subspace } from '../subspace.js';
import {
  type CommonOptions,
  chooseRule,
  composeSettings,
  DENSITY,
  decayOf,
  type OwnOptions,
  PROJECTABLE,
  PROJECTABLE_OPTION,
  type RuleChoice,
  requireRecipeOptions,
  UPDATE_GAP,
} from './settings.js';

export interface BadamOptions extends CommonOptions {
  /** Share of the blocks that is trained at a time. Default 0.25. */
  readonly density?: number;
  /** Updates before the next blocks take their turn (K). Default 100. */
  readonly switchEvery?: number;
  /** Order of the blocks. Default `descending`: from the last layer to the first. */
  readonly order?: BlockwiseOptions['order'];
  /** What a block is. Default `layer`. */
  readonly unit?: BlockwiseOptions['unit'];
  /** The rule. Default adamW. */
  readonly rule?: RuleChoice;
  /** The parameters that take turns; all others are trained all the time. */
  readonly projectable?: Match;
}

export const BADAM_OPTIONS: OwnOptions<BadamOptions> = {
  density: { ...DENSITY, meaning: 'share of the blocks that is trained at a time' },
  switchEvery: { ...UPDATE_GAP, default: 100, meaning: 'updates before the next blocks take their turn' },
  order: { type: 'structure', default: 'descending', meaning: 'order of the blocks' },
  unit: { type: 'structure', default: 'layer', meaning: 'what a block is' },
  rule: { type: 'structure', default: 'adamW', meaning: 'the rule' },
  projectable: { ...PROJECTABLE_OPTION, meaning: 'the parameters that take turns: a `match` of a group' },
};

/**
 * BAdam: whole blocks of parameters take turns; a block at rest is not changed at all, not even by weight decay, and
 * returns with fresh state. Parameters outside the blocks keep their state at a switch, where the authors' code clears
 * it. Learning rate 1e-3 by default.
 *
 * Source: Luo, Yu & Li, "BAdam: A Memory Efficient Full Parameter Optimization Method for Large Language Models",
 * NeurIPS 2024 (arXiv 2404.02827), Algorithm 1.
 */
export function badam(options: BadamOptions = {}): ComposedOptimizer {
  requireRecipeOptions('badam', options, BADAM_OPTIONS);
  const { density = 0.25, switchEvery = 100, order = 'descending', unit = 'layer', rule = 'adamW' } = options;
  const blocks = subspace({
    projector: blockwise({ density, order, unit }),
    rule: chooseRule(rule),
    combine: drop(),
    refresh: { every: switchEvery },
    onRefresh: 'reset',
  });
  const match = options.projectable ?? PROJECTABLE;
  return compose({
    ...composeSettings(options, 1e-3),
    groups: [
      { match, use: blocks, decayInactive: false, optional: true, ...decayOf(options) },
      { use: chooseRule(rule), ...decayOf(options) },
    ],
  });
}
