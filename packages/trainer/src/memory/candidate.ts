import type { MemoryEstimate } from './memory-of.js';
import type { PlannedRecipe } from './methods.js';

/** A composition that was considered. */
export interface Candidate extends PlannedRecipe {
  readonly label: string;
  /** Share of the hidden matrices with state; null for methods below FRUGAL with ρ = 0. */
  readonly density: number | null;
  /** Null where the projector makes no difference. */
  readonly projector: string | null;
  readonly memory: MemoryEstimate;
  readonly fits: boolean;
}
