import type { ComposedOptimizer } from '@frugaljs/composer';
import { type LlamaConfig, parameterCount, parameterSpecs, preset } from '@frugaljs/llama';
import { catalogEntry } from '../optimizers/catalog.js';
import type {
  Memory,
  OptimizerOutline,
  OptimizerSettings,
  Outline,
  OwnText,
  Problem,
  RunSettings,
  Setup,
} from '../protocol.js';
import { mistakeIn, RUN_LIMITS, type WholeSetting } from '../run-limits.js';
import { openDataset } from '../text/corpus.js';
import { buildOptimizer, labels, writtenForm } from './optimizers.js';

const FLOAT = 4;

/**
 * What a setup amounts to, without building a model: sizes, memory and every mistake in it.
 */
export function outlineOf({ run, optimizers }: Setup, text: OwnText | null): Outline {
  const config = preset(run.model);
  const problems: Problem[] = sharedProblems(run);
  const names = labels(optimizers);
  const sound = problems.length === 0;
  const outlines = optimizers.map((settings, optimizer): OptimizerOutline | null => {
    // The steps shape the schedule; a mistake in them is not the optimizer's.
    const context = { ...run, ...(sound ? {} : { steps: 100, seed: 0 }), layers: config.num_hidden_layers };
    const empty = emptyFields(settings, optimizer);
    if (empty.length > 0) {
      problems.push(...empty);
      return null;
    }
    try {
      const built = buildOptimizer(settings, context);
      try {
        return { label: names[optimizer]!, memory: memoryOf(built, config), json: writtenForm(settings, context) };
      } finally {
        built.dispose();
      }
    } catch (error) {
      problems.push({ optimizer, field: fieldOf(error, settings.kind), message: messageOf(error) });
      return null;
    }
  });
  let trainingTokens: number | null = null;
  try {
    if (sound) trainingTokens = openDataset(text, run).train.length;
  } catch (error) {
    problems.push({ optimizer: null, field: 'text', message: messageOf(error) });
  }
  return { optimizers: outlines, problems, parameterCount: parameterCount(config).total, trainingTokens };
}

/** What a model and this optimizer keep, after the optimizer's next update. */
export function memoryOf(optimizer: ComposedOptimizer, config: LlamaConfig): Memory {
  const report = optimizer.memoryReport(parameterSpecs(config));
  const parameters = report.reduce((sum, row) => sum + row.parameterBytes, 0);
  // Every parameter has a gradient of its own shape and type while the optimizer works.
  return { parameters, gradients: FLOAT * parameterCount(config).total, state: report.totalStateBytes };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sharedProblems(run: RunSettings): Problem[] {
  return (Object.keys(RUN_LIMITS) as WholeSetting[]).flatMap(field => {
    const message = mistakeIn(field, run);
    return message === null ? [] : [{ optimizer: null, field, message }];
  });
}

/** Fields of an optimizer that its recipe reads and that hold no number. */
function emptyFields(settings: OptimizerSettings, optimizer: number): Problem[] {
  if (settings.kind === 'json') return [];
  const read = ['learningRate', ...catalogEntry(settings.recipe).fields] as const;
  return read
    .filter(field => Number.isNaN(settings[field]))
    .map(field => ({ optimizer, field, message: 'Expected a number.' }));
}

/** The field of the form that an error is about. */
function fieldOf(error: unknown, kind: 'recipe' | 'json'): string {
  if (kind === 'json') return 'json';
  const parameter = String((error as { parameter?: unknown }).parameter ?? '');
  if (/density|rank/i.test(parameter)) return 'density';
  if (/rate|peak/i.test(parameter)) return 'learningRate';
  if (/gap|every|refresh/i.test(parameter)) return 'updateGap';
  if (/projector/i.test(parameter)) return 'projector';
  return 'recipe';
}
