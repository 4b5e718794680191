import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { type JsonObject, optimizerOf } from '../comparison/method.js';
import { trainingSchedule } from '../training/schedule.js';
import type { TrainingRequest } from './training-request.js';

/** The optimizer of a run: a recipe with its options, and a schedule fitted to the length of the run. */
export function optimizerFor(name: string, options: JsonObject, request: TrainingRequest): ComposedOptimizer {
  const { steps, schedule: shape, warmup, seed } = request;
  const peak = request.lr ?? recipe(name, options).learningRate;
  const schedule = trainingSchedule({ peak, steps, shape, ...(warmup === undefined ? {} : { warmup }) });
  return optimizerOf({ label: name, recipe: name, options, learningRate: peak }, schedule, seed);
}
