import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { InvalidOptionError, requireNumber } from '@frugaljs/core';
import { type BackendLimits, backendLimits } from '../backend.js';
import { formatBinaryBytes, parseBytes } from '../terminal/text.js';
import { adviceFor } from './advice.js';
import { fits, type LlamaModel, memoryOf, obstacles, type PlannedModel } from './memory-of.js';
import { type Candidate, commandOf, frugalRecipe, outputLayerRecipe, PLANNED_PROJECTORS } from './methods.js';

/** What there is room for. */
export interface Room {
  /** What parameters, gradients, state and activations may take together: bytes, or a size such as `8GiB`. */
  readonly budget?: number | string;
  /** Where the run will be: its limits hold besides the budget. Default wasm. */
  readonly backend?: string;
  /** The largest tensor of the backend, where it is known: on webgpu the adapter's `maxStorageBufferBindingSize`. */
  readonly maxTensorBytes?: number | string;
}

export type PlanOptions = PlannedModel &
  Room & {
    /** Densities to try. Default 1, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0625, 0. */
    readonly densities?: readonly number[];
    /** Projectors to try, the one that is liked best first. Default {@link PLANNED_PROJECTORS}. */
    readonly projectors?: readonly string[];
  };

export interface Plan {
  /** The candidate to take; null if nothing fits. */
  readonly choice: Candidate | null;
  /** All that was considered, the best first. */
  readonly candidates: readonly Candidate[];
  /** What holds: the budget, or the limit of the backend if that is lower; null without either. */
  readonly limitBytes: number | null;
  /** Why this one, in sentences. */
  readonly reasons: readonly string[];
  /** What would fit, or fit better, in sentences. */
  readonly advice: readonly string[];
}

const DENSITIES: readonly number[] = [1, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0625, 0];

/**
 * Proposes the highest density and, for it, the most preferred projector that fit.
 *
 * Candidates in order: AdamW on everything (density 1); FRUGAL with each density and projector; FRUGAL with density 0,
 * then with state for the output layer only; signSGD, which has no state at all. A candidate fits if everything that a
 * training step holds at its fullest moment is within the budget and the backend's limits; see {@link memoryOf}.
 *
 * @throws InvalidOptionError for a size, density or projector that is none; UnknownNameError for a backend.
 */
export function plan(options: PlanOptions): Plan {
  const limits = limitsOf(options);
  const densities = checkedDensities(options.densities ?? DENSITIES);
  const projectors = checkedProjectors(options.projectors ?? PLANNED_PROJECTORS);
  const candidates = ladder(options, densities, projectors).map(rung => {
    const memory = memoryOf(options, recipe(rung.recipe, rung.options), limits);
    return { ...rung, memory, fits: fits(memory, limits) };
  });
  const choice = candidates.find(({ fits }) => fits) ?? null;
  return {
    choice,
    candidates,
    limitBytes: limits.totalBytes,
    reasons: reasonsFor(choice, candidates, limits),
    advice: adviceFor(options, choice, candidates, limits),
  };
}

/** The backend's limits, with the budget in place of the total if it is lower. */
export function limitsOf({ budget, backend = 'wasm', maxTensorBytes }: Room): BackendLimits {
  const tensor = maxTensorBytes === undefined ? undefined : parseBytes('maxTensorBytes', maxTensorBytes);
  const limits = backendLimits(backend, tensor);
  if (budget === undefined) return limits;
  const bytes = parseBytes('budget', budget);
  if (limits.totalBytes !== null && limits.totalBytes <= bytes) return limits;
  return { ...limits, totalBytes: bytes, isBudget: true, total: `the budget of ${formatBinaryBytes(bytes)}` };
}

type Rung = Omit<Candidate, 'memory' | 'fits'>;

function ladder(model: PlannedModel, densities: readonly number[], projectors: readonly string[]): Rung[] {
  const rungs = densities.flatMap((density): Rung[] => {
    if (density === 1) return [{ label: 'AdamW', recipe: 'adamW', options: {}, density, projector: null }];
    // Without a subspace the kind of subspace makes no difference.
    if (density === 0) return [{ label: 'FRUGAL ρ=0', ...frugalRecipe('rows', 0), density, projector: null }];
    return projectors.map(projector => ({
      label: `FRUGAL ${projector} ρ=${density}`,
      ...frugalRecipe(projector, density),
      density,
      projector,
    }));
  });
  if (!densities.includes(0)) return rungs;
  const below = { density: null, projector: null };
  return [
    ...rungs,
    { label: 'FRUGAL ρ=0, output layer only', ...outputLayerRecipe(model), ...below },
    { label: 'signSGD', recipe: 'signSgd', options: {}, ...below },
  ];
}

function reasonsFor(choice: Candidate | null, candidates: readonly Candidate[], limits: BackendLimits): string[] {
  const against = ({ label, memory }: Candidate): string => `${label}: ${obstacles(memory, limits).join(', and ')}.`;
  if (choice === null) return [`Nothing fits. ${against(candidates.at(-1)!)}`];
  const needs = `${choice.label} takes ${formatBinaryBytes(choice.memory.peakBytes)}`;
  const reasons = [
    limits.totalBytes === null
      ? `${needs}; nothing was said about how much there is.`
      : `${needs} of ${formatBinaryBytes(limits.totalBytes)} (${limits.total}).`,
  ];
  const passed = candidates.slice(0, candidates.indexOf(choice));
  const higher = passed.filter(({ density }) => density !== choice.density);
  if (higher.length > 0) {
    const nearest = higher.reduce((a, b) => (b.memory.peakBytes < a.memory.peakBytes ? b : a));
    reasons.push(`More state does not fit. ${against(nearest)}`);
  }
  reasons.push(...passed.filter(({ density }) => density === choice.density).map(against));
  const why = WHY[choice.projector ?? choice.label];
  const inPlace =
    limits.updates === 'in-place' && ['rows', 'columns', 'randK', 'blockwise'].includes(choice.projector ?? '');
  if (why !== undefined) reasons.push(`${why}${inPlace ? '; updated in place, in one pass' : ''}.`);
  return reasons;
}

const WHY: Readonly<Record<string, string>> = {
  rows: 'rows: whole rows, with an index of a few kilobytes',
  columns: 'columns: a part of every row, with an index of a few kilobytes',
  randK: 'randK: entries anywhere, at the price of an index of four bytes for each',
  blockwise: 'blockwise: matrices in turn, without an index; while they change, old and new state exist side by side',
  dct: 'dct: fitted to the gradient, with next to nothing to store; multiplies matrices in every step',
  svd: 'svd: fitted to the gradient; stores a basis, computed anew at every refresh',
  random: 'random: a dense random basis, which is stored',
  'FRUGAL ρ=0': 'Hidden matrices take signSGD steps; embeddings, normalizations and the output layer keep AdamW',
  'FRUGAL ρ=0, output layer only': 'Everything takes signSGD steps but the output layer, which keeps AdamW',
  signSGD: 'No state at all: the sign of the gradient is all that is used',
};

function checkedDensities(densities: readonly number[]): number[] {
  if (densities.length === 0) {
    throw new InvalidOptionError({ parameter: 'densities', found: densities, expected: 'at least one density' });
  }
  for (const density of densities) requireNumber('densities', density, '[0, 1]');
  return [...new Set(densities)].sort((a, b) => b - a);
}

function checkedProjectors(projectors: readonly string[]): readonly string[] {
  for (const name of projectors) {
    if (!PLANNED_PROJECTORS.includes(name)) {
      throw new InvalidOptionError({
        parameter: 'projectors',
        found: name,
        expected: `some of ${PLANNED_PROJECTORS.join(', ')}`,
      });
    }
  }
  if (projectors.length === 0) {
    throw new InvalidOptionError({ parameter: 'projectors', found: projectors, expected: 'at least one projector' });
  }
  return projectors;
}

/**
 * What to say about a run that ran out of memory: what it takes, and what takes less and fits. What was tried does not
 * fit, whatever was expected of it, so that only what takes less is proposed.
 *
 * @param room The backend, and how much there was if that is known.
 */
export function outOfMemoryAdvice(model: LlamaModel, optimizer: ComposedOptimizer, room: Room): string[] {
  const limits = limitsOf(room);
  const tried = memoryOf(model, optimizer, limits);
  const { parameterBytes, gradientBytes, stateBytes, activationBytes, peakBytes } = tried;
  const [weights, gradients, state, rest] = [parameterBytes, gradientBytes, stateBytes, activationBytes].map(
    formatBinaryBytes,
  );
  const expected =
    `This run takes about ${formatBinaryBytes(peakBytes)}: weights ${weights}, gradients ${gradients}, optimizer state ` +
    `${state}, activations and temporaries ${rest}.`;
  const budget = Math.min(limits.totalBytes ?? Number.POSITIVE_INFINITY, peakBytes - 1);
  const { choice, advice } = plan({ ...model, ...room, budget });
  if (choice === null) return [expected, `No optimizer makes it fit ${limitText(limits)}.`, ...advice];
  const { memory, label } = choice;
  return [
    expected,
    `What fits ${limitText(limits)}: ${label}, ${formatBinaryBytes(memory.peakBytes)} in all, ` +
      `${formatBinaryBytes(memory.stateBytes)} of state:${commandOf(choice)}`,
    ...advice,
  ];
}

function limitText({ totalBytes, total }: { readonly totalBytes: number | null; readonly total: string }): string {
  return totalBytes === null ? 'better' : `into ${formatBinaryBytes(totalBytes)} (${total})`;
}
