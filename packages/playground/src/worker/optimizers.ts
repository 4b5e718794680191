import { COMPOSE_OPTIONS, type ComposedOptimizer, compose, compositionFromJson, recipe } from '@frugaljs/composer';
import { InvalidOptionError, type Json, requireKnownKeys, type Schedule, warmupCosine } from '@frugaljs/core';
import { type LlamaConfig, parameterCount, parameterSpecs, preset } from '@frugaljs/llama';
import { catalogEntry, FIELD_LABELS, fieldOfOption, fieldsOf, labelOf } from '../catalog.js';
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
import { mistakeIn, RUN_LIMITS, type WholeSetting } from '../setup.js';
import { openDataset } from './text.js';

// What the optimizers of a setup are, and every mistake in them: from the form, or from a composition written by hand.

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
      const field = fieldOf(error, settings.kind);
      problems.push({ optimizer, field, message: labeledMessage(error, field) });
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message in the words of the form: about a field by its label, and not by the option that the form sets with it. */
function labeledMessage(error: unknown, field: string): string {
  const message = messageOf(error);
  const { parameter } = error as { readonly parameter?: unknown };
  const label = Object.hasOwn(FIELD_LABELS, field) ? FIELD_LABELS[field as keyof typeof FIELD_LABELS] : undefined;
  const isNamed = typeof parameter === 'string' && message.startsWith(`${parameter}: `);
  return label === undefined || !isNamed ? message : `${label}: ${message.slice(parameter.length + 2)}`;
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
  const read = ['learningRate', ...fieldsOf(settings.recipe)] as const;
  return read
    .filter(field => Number.isNaN(settings[field]))
    .map(field => ({ optimizer, field, message: 'Expected a number.' }));
}

/** The field of the form that an error is about. */
function fieldOf(error: unknown, kind: 'recipe' | 'json'): string {
  if (kind === 'json') return 'json';
  const parameter = String((error as { parameter?: unknown }).parameter ?? '');
  const field = fieldOfOption(parameter.slice(parameter.lastIndexOf('.') + 1));
  if (field !== undefined) return field;
  if (/density|rank/i.test(parameter)) return 'density';
  if (/rate|peak/i.test(parameter)) return 'learningRate';
  if (/gap|every|refresh/i.test(parameter)) return 'updateGap';
  if (/projector/i.test(parameter)) return 'projector';
  return 'recipe';
}

/** What the optimizers of a run depend on besides their own settings. */
type OptimizerContext = Pick<RunSettings, 'steps' | 'seed'> & { readonly layers: number };

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
function writtenForm(settings: OptimizerSettings, context: OptimizerContext): string {
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

/** What a composition may say. */

/**
 * Builds the optimizer that a hand-written composition describes.
 *
 * @throws InvalidOptionError, or another error of `@frugaljs/core`, that says what is wrong and where.
 */
function composeWritten(text: string): ComposedOptimizer {
  const json = parse(text);
  if (!isObject(json)) throw wrong('composition', json, 'an object such as { "learningRate": 0.001, "groups": [ … ] }');
  requireKnownKeys('composition', json, Object.keys(COMPOSE_OPTIONS));
  const { groups, learningRate, accumulate = 1 } = json;
  if (typeof learningRate !== 'number') requirePart('learningRate', learningRate, 'a number or a schedule');
  if (!Array.isArray(groups) || groups.length === 0) throw wrong('groups', groups, 'a list of at least one group');
  for (const [i, group] of groups.entries()) {
    if (!isObject(group)) throw wrong(`groups[${i}]`, group, 'an object such as { "use": { "kind": "adamW", … } }');
    if (group['use'] !== undefined) requireRule(`groups[${i}].use`, group['use']);
  }
  // The page draws one batch for every step.
  if (accumulate !== 1) throw wrong('accumulate', accumulate, '1, since every step here makes an update');
  return compose(compositionFromJson(json as Json));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidOptionError({
      parameter: 'composition',
      found: 'text that is not',
      expected: 'JSON',
      advice: `${(error as Error).message}.`,
    });
  }
}

/** A rule, or a subspace with all the parts inside it. */
function requireRule(path: string, rule: unknown): void {
  const { kind, options } = requirePart(path, rule, 'a rule');
  if (kind !== 'subspace') return;
  requirePart(`${path}.options.projector`, options['projector'], 'a projector');
  requireRule(`${path}.options.rule`, options['rule']);
  if (options['combine'] === undefined) return;
  const combine = requirePart(`${path}.options.combine`, options['combine'], 'a combine');
  if (combine.kind === 'residual') requireRule(`${path}.options.combine.options.rule`, combine.options['rule']);
}

function requirePart(path: string, part: unknown, what: string): { kind: string; options: Record<string, unknown> } {
  if (isObject(part) && typeof part['kind'] === 'string' && isObject(part['options'])) return part as never;
  throw wrong(path, part, `${what} as { "kind": "…", "options": { … } }`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(parameter: string, found: unknown, expected: string): InvalidOptionError {
  return new InvalidOptionError({ parameter, found: found === undefined ? 'nothing' : found, expected });
}
