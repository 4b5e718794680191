import { recipe } from '@frugaljs/composer';
import { parameterCount, parameterSpecs } from '@frugaljs/llama';
import { isModelFolder } from '../cli/initial-weights.js';
import { shellWord } from '../terminal/shell-word.js';
import { textTable } from '../terminal/text-table.js';
import { formatCount } from '../terminal/units.js';
import { wrap } from '../terminal/wrap.js';
import type { BackendLimits } from './backend-limits.js';
import { formatBinaryBytes, formatBytesIn, tableUnit } from './byte-size.js';
import { fits } from './fit.js';
import { type LlamaModel, type MemoryEstimate, memoryOf, variablesOf } from './memory-of.js';
import { frugalRecipe, PLANNED_PROJECTORS, plannedMethods } from './methods.js';
import type { Plan } from './plan.js';
import { commandOf } from './plan-command.js';
import { stateOverTime } from './state-over-time.js';

/** A method and what training with it takes. */
export interface MethodMemory {
  readonly label: string;
  readonly memory: MemoryEstimate;
  readonly fits: boolean;
}

/** What training takes with every method. */
export function plannedRows(model: LlamaModel, density: number, limits: BackendLimits): MethodMemory[] {
  return plannedMethods(model, density).map(({ label, optimizer }) => {
    const memory = memoryOf(model, optimizer(), limits);
    return { label, memory, fits: fits(memory, limits) };
  });
}

/** Characters of a line of prose. */
const LINE = 104;

/** Densities of the table of FRUGAL's state. */
const SHOWN_DENSITIES: readonly number[] = [0.0625, 0.125, 0.25, 0.5];

/** All that `frugal memory` prints. */
export function memoryText({
  name,
  model,
  limits,
  rows,
  plan,
  backend,
}: {
  readonly name: string;
  readonly model: LlamaModel;
  readonly limits: BackendLimits;
  readonly rows: readonly MethodMemory[];
  readonly plan: Plan;
  readonly backend: string;
}): string {
  return [
    overview(name, model, rows[0]!.memory),
    methodTable(rows, limits, backend),
    densityTable(model, tableUnit(rows[0]!.memory.stateBytes)),
    planText(name, model, plan, backend),
  ].join('\n\n');
}

function overview(
  name: string,
  { config, batch, length, recompute = false }: LlamaModel,
  memory: MemoryEstimate,
): string {
  const { embedding, head, linear, norm, total } = parameterCount(config);
  const { parameterBytes, gradientBytes } = memory;
  return [
    `${name}: ${formatCount(total)} weights in ${parameterSpecs(config).length} tensors, trained on ${batch} × ${length} tokens in float32${recompute ? ', layers recomputed' : ''}`,
    `  hidden matrices ${formatCount(linear)}, embedding and output layer ${formatCount(embedding + head)}, normalizations ${formatCount(norm)}`,
    `  vocabulary ${formatCount(config.vocab_size)} (frugal train takes a preset's from the tokenizer; --vocab plans for another)`,
    `  weights ${formatBinaryBytes(parameterBytes)}, gradients ${formatBinaryBytes(gradientBytes)}`,
  ].join('\n');
}

function methodTable(rows: readonly MethodMemory[], limits: BackendLimits, backend: string): string {
  const limited = limits.totalBytes !== null || limits.tensorBytes !== null;
  const unit = tableUnit(Math.max(...rows.map(({ memory }) => memory.peakBytes)));
  const table = textTable(
    ['optimizer', `state, ${unit}`, `activations, ${unit}`, `in all, ${unit}`, ...(limited ? ['fits'] : [])],
    rows.map(({ label, memory, fits: doesFit }) => [
      label,
      formatBytesIn(unit, memory.stateBytes),
      formatBytesIn(unit, memory.activationBytes),
      formatBytesIn(unit, memory.peakBytes),
      ...(limited ? [doesFit ? 'yes' : 'no'] : []),
    ]),
  );
  const within = limits.totalBytes === null ? '' : `: ${formatBinaryBytes(limits.totalBytes)} (${limits.total})`;
  const tensor =
    limits.tensorBytes === null ? '' : `; a tensor at most ${formatBinaryBytes(limits.tensorBytes)} (${limits.tensor})`;
  const columns = 'Activations are all that is there at the fullest moment besides weights, gradients and state.';
  return `${table}\n${wrap(`Backend ${backend}${within}${tensor}. ${columns}`, LINE)}`;
}

function densityTable(model: LlamaModel, unit: 'KiB' | 'MiB'): string {
  const variables = variablesOf(model);
  const state = (projector: string, density: number): string => {
    const planned = frugalRecipe(projector, density);
    return formatBytesIn(unit, stateOverTime(recipe(planned.recipe, planned.options), variables).stateBytes);
  };
  return textTable(
    [`state of FRUGAL, ${unit}`, ...SHOWN_DENSITIES.map(density => `ρ=${density}`)],
    PLANNED_PROJECTORS.map(name => [name, ...SHOWN_DENSITIES.map(density => state(name, density))]),
  );
}

function planText(
  name: string,
  { batch, length, recompute = false }: LlamaModel,
  { choice, reasons, advice }: Plan,
  backend: string,
): string {
  const lines = [...reasons, ...advice].map(each => wrap(`- ${each}`, LINE).replaceAll('\n', '\n  '));
  const headline = choice === null ? 'Plan: none' : `Plan: ${choice.label}`;
  const command =
    choice === null
      ? []
      : [
          `  frugal train ${isModelFolder(name) ? '--weights' : '--config'} ${shellWord(name)} --batch ${batch} --length ${length}${recompute ? ' --recompute' : ''}${commandOf(choice)} --backend ${backend}`,
        ];
  return [headline, ...command, ...lines].join('\n');
}
