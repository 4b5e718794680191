import { recipe } from '@frugaljs/composer';
import { InvalidOptionError } from '@frugaljs/core';
import { type LlamaConfig, parameterCount, parameterSpecs, preset } from '@frugaljs/llama';
import type { BackendLimits } from '../backend.js';
import { fits, type LlamaModel, type MemoryEstimate, memoryOf, variablesOf } from '../memory/memory-of.js';
import { commandOf, frugalRecipe, PLANNED_PROJECTORS, plannedMethods } from '../memory/methods.js';
import { limitsOf, type Plan, plan } from '../memory/plan.js';
import { stateOverTime } from '../memory/state-over-time.js';
import type { Streams } from '../terminal/output.js';
import {
  formatBinaryBytes,
  formatBytesIn,
  formatCount,
  shellWord,
  tableUnit,
  textTable,
  wrap,
} from '../terminal/text.js';
import { loraOptions, requireAdapter } from './adapted-run.js';
import type { MemoryRequest } from './memory-command.js';
import { isModelFolder, isPreset, openConfig } from './open-inputs.js';
import { requireWritable, writeJson } from './output-file.js';

/** Prints what a run takes, by method, and what fits: what `frugal memory` asks for. */
export async function runMemory(request: MemoryRequest, stdout: Streams['stdout']): Promise<void> {
  requireAdapter(request, ['loraTargets'], 'lora');
  const jsonFile = request.json === undefined ? null : await requireWritable('json', request.json);
  const { batch, length, recompute = false, density, budget, backend, maxTensor } = request;
  const config = await openPlannedConfig(request.config, length, request.vocab);
  const model = { config, batch, length, recompute };
  const room = {
    backend,
    ...(budget === undefined ? {} : { budget }),
    ...(maxTensor === undefined ? {} : { maxTensorBytes: maxTensor }),
  };
  const projectors = request.projectors?.split(',').map(name => name.trim());
  const limits = limitsOf(room);
  const lora = loraOptions({ ...request, seed: 0 });
  if (lora !== null) {
    const rows = adaptedRows({ ...model, lora }, limits);
    stdout.write(`${overview(request.config, model, rows[0]!.memory)}\n\n${methodTable(rows, limits, backend)}\n`);
    if (jsonFile !== null) await writeJson(jsonFile, { ...model, lora, backend, limits, methods: rows });
    return;
  }
  const proposal = plan({ ...model, ...room, ...(projectors === undefined ? {} : { projectors }) });
  const rows = plannedRows(model, density, limits);
  const sections = [
    overview(request.config, model, rows[0]!.memory),
    methodTable(rows, limits, backend),
    densityTable(model, tableUnit(rows[0]!.memory.stateBytes)),
    planText(request.config, model, proposal, backend),
  ];
  stdout.write(`${sections.join('\n\n')}\n`);
  if (jsonFile !== null) await writeJson(jsonFile, { ...model, backend, limits, methods: rows, plan: proposal });
}

/**
 * The configuration of a model to plan. A preset has a vocabulary of its own unless another one is asked for: no
 * tokenizer takes part.
 *
 * @throws as `openConfig`; InvalidOptionError also for a file that does not say how large the vocabulary is.
 */
async function openPlannedConfig(name: string, length: number, vocabulary?: number): Promise<LlamaConfig> {
  const config = await openConfig(name, isPreset(name) ? preset(name).vocab_size : 1, length);
  if (vocabulary !== undefined) return { ...config, vocab_size: vocabulary };
  if (config.vocab_size === 1) {
    throw new InvalidOptionError({
      parameter: 'vocab',
      found: `none, and none in ${name}`,
      expected: 'the size of the vocabulary',
      advice: 'Give --vocab, or vocab_size in the file.',
    });
  }
  return config;
}

/** A method and what training with it takes. */
interface MethodMemory {
  readonly label: string;
  readonly memory: MemoryEstimate;
  readonly fits: boolean;
}

/** What training takes with every method. */
function plannedRows(model: LlamaModel, density: number, limits: BackendLimits): MethodMemory[] {
  return plannedMethods(model, density).map(({ label, optimizer }) => {
    const memory = memoryOf(model, optimizer(), limits);
    return { label, memory, fits: fits(memory, limits) };
  });
}

/** AdamW on the weights, and what trains adapters in their place. */
function adaptedRows({ lora, ...full }: LlamaModel, limits: BackendLimits): MethodMemory[] {
  const row = (label: string, model: LlamaModel, name: string): MethodMemory => {
    const memory = memoryOf(model, recipe(name), limits);
    return { label, memory, fits: fits(memory, limits) };
  };
  const adapted = { ...full, lora: lora! };
  const of = (title: string): string => `LoRA r=${lora!.r}, ${title}`;
  return [
    row('AdamW', full, 'adamW'),
    row(of('AdamW'), adapted, 'adamW'),
    row(of('Lion'), adapted, 'lion'),
    row(of('SGD with momentum'), adapted, 'sgdm'),
  ];
}

/** Densities of the table of FRUGAL's state. */
const SHOWN_DENSITIES: readonly number[] = [0.0625, 0.125, 0.25, 0.5];

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
  return `${table}\n${wrap(`Backend ${backend}${within}${tensor}. ${columns}`)}`;
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
  const lines = [...reasons, ...advice].map(each => wrap(`- ${each}`).replaceAll('\n', '\n  '));
  const headline = choice === null ? 'Plan: none' : `Plan: ${choice.label}`;
  const command =
    choice === null
      ? []
      : [
          `  frugal train ${isModelFolder(name) ? '--weights' : '--config'} ${shellWord(name)} --batch ${batch} --length ${length}${recompute ? ' --recompute' : ''}${commandOf(choice)} --backend ${backend}`,
        ];
  return [headline, ...command, ...lines].join('\n');
}
