import { freemem } from 'node:os';
import type { ComposedOptimizer } from '@frugaljs/composer';
import { FrugalError, OutOfMemoryError } from '@frugaljs/core';
import { explainFailure } from '../hardening/failure-kind.js';
import { plannedBackends } from '../memory/backend-limits.js';
import { deviceTensorBytes } from '../memory/device-limits.js';
import { obstacles } from '../memory/fit.js';
import { type LlamaModel, memoryOf } from '../memory/memory-of.js';
import { outOfMemoryAdvice } from '../memory/out-of-memory-advice.js';
import { limitsOf, type Room } from '../memory/plan.js';

/** A line about a run that the planner expects not to fit; null if it should fit, or nobody knows. */
export function memoryWarning(model: LlamaModel, optimizer: ComposedOptimizer, backend: string): string | null {
  if (!isPlanned(backend)) return null;
  const limits = limitsOf(roomOf(backend));
  const reasons = obstacles(memoryOf(model, optimizer, limits), limits);
  if (reasons.length === 0) return null;
  return `Memory     may run out: ${reasons.join(', and ')}; \`frugal memory\` says what fits`;
}

/** An error of a run as what it means; one about memory says what would fit. */
export function explained(error: unknown, model: LlamaModel, optimizer: ComposedOptimizer, backend: string): unknown {
  const meaning = explainFailure(error);
  if (!(meaning instanceof FrugalError) || meaning.code !== 'out-of-memory' || !isPlanned(backend)) return meaning;
  // What this process holds and what is free is what it could have had.
  const isHost = meaning instanceof OutOfMemoryError && meaning.kind === 'host';
  const room = isHost ? { budget: freemem() + process.memoryUsage().rss } : {};
  const lines = outOfMemoryAdvice(model, optimizer, { ...roomOf(backend), ...room });
  meaning.message = [meaning.message, ...lines.map(line => `  ${line}`)].join('\n');
  return meaning;
}

function isPlanned(backend: string): boolean {
  return plannedBackends.some(known => known === backend);
}

function roomOf(backend: string): Room {
  const maxTensorBytes = deviceTensorBytes();
  return maxTensorBytes === null ? { backend } : { backend, maxTensorBytes };
}
