import type { Json } from '@frugaljs/core';
import type { Comparison, ComparisonSettings, RunResult } from '../comparison/result.js';
import { formatCount } from '../terminal/units.js';
import { escapeHtml } from './escape.js';

/** What was run, as a list of terms and descriptions. */
export function settingsList({ settings, runs }: Comparison): string {
  const entries: [term: string, description: string][] = [
    ['model', modelOf(settings)],
    ['text', textOf(settings)],
    [
      'a step',
      `${settings.batch} rows of ${settings.length} tokens, ${formatCount(settings.batch * settings.length)} in all`,
    ],
    ['learning rate', settings.schedule],
    ['validation', `mean over the same ${formatCount(settings.evaluatedTokens)} held-out tokens`],
    ['seed', `${settings.seed}, for weights, batches and random subspaces`],
    ['backend', settings.backend],
  ];
  const common = entries.map(([term, text]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text)}</dd>`);
  const methods = runs.map(
    run => `<dt>${escapeHtml(run.optimizer)}</dt><dd><code>${escapeHtml(methodOf(run))}</code></dd>`,
  );
  return `<dl>${common.join('')}${methods.join('')}</dl>`;
}

function modelOf({ config, parameters }: ComparisonSettings): string {
  const { num_hidden_layers: layers, hidden_size: width, num_attention_heads: heads } = config;
  return `LLaMA with ${layers} layers of width ${width} and ${heads} heads, ${formatCount(parameters)} weights`;
}

function textOf({ data, tokenizer }: ComparisonSettings): string {
  const { name, trainTokens, validationTokens } = data;
  return `${name}, ${formatCount(trainTokens)} tokens to train on and ${formatCount(validationTokens)} held out; tokenizer: ${tokenizer}`;
}

function methodOf({ recipe, options, learningRate }: RunResult): string {
  const all = Object.entries({ ...options, learningRate }).map(([key, value]) => `${key}: ${literal(value)}`);
  return `${recipe}({ ${all.join(', ')} })`;
}

/** JSON with bare keys, as one would write it in a program. */
function literal(value: Json | undefined): string {
  return JSON.stringify(value)
    .replace(/"(\w+)":/g, ' $1: ')
    .replace(/(?<=[\w"\]}])\}/g, ' }')
    .replaceAll('"', "'");
}
