import { type BlockwiseOptions, blockwise } from '@frugaljs/projectors';
import { drop } from '../combine/drop.js';
import type { ComposedOptimizer } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { BADAM_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseRule,
  composeScoped,
  type RuleChoice,
  requireRecipeOptions,
  type SubspaceScope,
} from './settings.js';

export interface BadamOptions extends CommonOptions, SubspaceScope {
  /** Share of the blocks that is trained at a time; above 0 at least one is. Default 0.25. */
  readonly density?: number;
  /** Updates before the next blocks take their turn (K). Default 100. */
  readonly switchEvery?: number;
  /** Order of the blocks. Default `descending`: from the last layer to the first. */
  readonly order?: BlockwiseOptions['order'];
  /** What a block is. Default `layer`. */
  readonly unit?: BlockwiseOptions['unit'];
  /** The rule. Default adamW. */
  readonly rule?: RuleChoice;
}

/**
 * BAdam: whole blocks of parameters take turns; a block at rest is not changed at all, not even by weight decay, and
 * returns with fresh state. Parameters outside the blocks keep their state at a switch, where the authors' code clears
 * it. Learning rate 1e-3 by default.
 *
 * Source: Luo, Yu & Li, "BAdam: A Memory Efficient Full Parameter Optimization Method for Large Language Models",
 * NeurIPS 2024 (arXiv 2404.02827), Algorithm 1.
 */
export function badam(options: BadamOptions = {}): ComposedOptimizer {
  return turns('badam', options);
}

/**
 * LISA: as {@link badam}, with layers that are drawn at random for each turn. Embeddings and the output layer are trained
 * throughout. Learning rate 1e-3 by default.
 *
 * Source: Pan et al., "LISA: Layerwise Importance Sampling for Memory-Efficient Large Language Model Fine-Tuning", NeurIPS
 * 2024 (arXiv 2403.17919), Algorithm 1.
 */
export function lisa(options: BadamOptions = {}): ComposedOptimizer {
  return turns('lisa', { order: 'random', ...options });
}

function turns(name: string, options: BadamOptions): ComposedOptimizer {
  requireRecipeOptions(name, options, BADAM_OPTIONS);
  const { density = 0.25, switchEvery = 100, order = 'descending', unit = 'layer', rule: choice = 'adamW' } = options;
  const rule = chooseRule(`${name}.rule`, choice);
  const blocks = subspace({
    projector: blockwise({ density, order, unit }),
    rule,
    combine: drop(),
    refresh: { every: switchEvery },
    onRefresh: 'reset',
  });
  return composeScoped(name, options, 1e-3, { use: blocks, decayInactive: false }, { use: rule });
}
