import { freemem } from 'node:os';
import type { ComposedOptimizer } from '@frugaljs/composer';
import { OutOfMemoryError } from '../errors.js';
import { explainFailure } from '../hardening/failure-kind.js';
import { backendLimits, plannedBackends } from '../memory/backend-limits.js';
import { formatBinaryBytes } from '../memory/byte-size.js';
import { type LlamaModel, memoryOf } from '../memory/memory-of.js';
import { outOfMemoryAdvice } from '../memory/out-of-memory-advice.js';

/** A line about a run that the planner expects not to fit; null if it should fit, or nobody knows. */
export function memoryWarning(model: LlamaModel, optimizer: ComposedOptimizer, backend: string): string | null {
  if (!plannedBackends.some(known => known === backend)) return null;
  const limits = backendLimits(backend);
  const { peakBytes } = memoryOf(model, optimizer, limits);
  if (limits.totalBytes === null || peakBytes <= limits.totalBytes) return null;
  const [needed, there] = [peakBytes, limits.totalBytes].map(formatBinaryBytes);
  return `Memory     may run out: about ${needed} are needed, of ${there} (${limits.total}); \`frugal memory\` says what fits`;
}

/** An error of a run as what it means; one about memory says what would fit. */
export function explained(error: unknown, model: LlamaModel, optimizer: ComposedOptimizer, backend: string): unknown {
  const meaning = explainFailure(error);
  if (!(meaning instanceof OutOfMemoryError) || !plannedBackends.some(known => known === backend)) return meaning;
  // What this process holds and what is free is what it could have had.
  const budget = meaning.kind === 'host' ? { budget: freemem() + process.memoryUsage().rss } : {};
  return meaning.advise(outOfMemoryAdvice(model, optimizer, { backend, ...budget }));
}
