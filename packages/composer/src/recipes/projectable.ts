import type { Match } from '../optimizer/options.js';

/**
 * The parameters that recipes train in a subspace unless told otherwise: matrices whose name does not say embedding,
 * normalization or output layer. FRUGAL keeps the others state-full; of these only the output layer is known to need it.
 */
export const PROJECTABLE: Match = {
  not: /embed|norm|lm_head|logits|classifier|(^|[./_])(wte|wpe|score)([./_]|$)/i,
  minRank: 2,
  maxRank: 2,
};
