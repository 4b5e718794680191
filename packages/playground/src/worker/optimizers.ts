import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { type Json, type Schedule, warmupCosine } from '@frugaljs/core';
import { catalogEntry, labelOf } from '../optimizers/catalog.js';
import type { OptimizerSettings, RunSettings } from '../protocol.js';
import { composeWritten } from './composition-json.js';

/** What the optimizers of a run depend on besides their own settings. */
export type OptimizerContext = Pick<RunSettings, 'steps' | 'seed'> & { readonly layers: number };

/** The share of a run that the learning rate takes to rise. */
const WARMUP = 0.1;
/** What is left of the rate at the end. */
const FLOOR = 0.1;

/**
 * Builds an optimizer. A learning rate given as a number is the peak of a warm-up over a tenth of the run and half a
 * cosine after it, for all alike; a schedule written by hand stays as it is.
 *
 * @throws An error of `@frugaljs/core` naming the option that is wrong.
 */
export function buildOptimizer(
  settings: OptimizerSettings,
  { steps, seed, layers }: OptimizerContext,
): ComposedOptimizer {
  if (settings.kind === 'json') {
    const optimizer = composeWritten(settings.json);
    const { learningRate } = JSON.parse(settings.json) as { learningRate: unknown };
    if (typeof learningRate === 'number') optimizer.setLearningRate(schedule(learningRate, steps));
    return optimizer;
  }
  const { options } = catalogEntry(settings.recipe);
  const learningRate = schedule(settings.learningRate, steps);
  const described: Json = { kind: learningRate.kind, options: learningRate.options };
  return recipe(settings.recipe, { ...(options(settings, layers) as object), learningRate: described, seed });
}

/** The composition of an optimizer as JSON for the editor: with the peak in place of the run's own schedule. */
export function writtenForm(settings: OptimizerSettings, context: OptimizerContext): string {
  if (settings.kind === 'json') return settings.json;
  const optimizer = buildOptimizer(settings, context);
  const json = { ...optimizer.toJSON(), learningRate: settings.learningRate };
  optimizer.dispose();
  return JSON.stringify(json, null, 2);
}

/** Names for the optimizers, all different. */
export function labels(optimizers: readonly OptimizerSettings[]): string[] {
  const plain = optimizers.map(settings => (settings.kind === 'json' ? settings.title : labelOf(settings)));
  return plain.map((label, i) => {
    const before = plain.slice(0, i).filter(other => other === label).length;
    return before === 0 ? label : `${label} (${before + 1})`;
  });
}

function schedule(peak: number, steps: number): Schedule {
  const warmup = Math.min(Math.round(WARMUP * steps), steps - 1);
  return warmupCosine({ peak, warmup, total: steps, floor: FLOOR });
}
