import { Command } from 'commander';
import type { Streams } from '../terminal/output.js';

/** `frugal list`: the names that the options take. */
export function listCommand(stdout: Streams['stdout']): Command {
  return new Command('list')
    .description('List the optimizers, models, texts and backends that the options name.')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { listRecipes, recipe } = await import('@frugaljs/composer');
      const { parameterCount, preset, presetNames } = await import('@frugaljs/llama');
      const { corpusSources } = await import('@frugaljs/llama/node');
      const { PROJECTORS } = await import('@frugaljs/projectors');
      const { backendNames } = await import('../backend.js');
      const optimizers = listRecipes();
      const projectors = Object.keys(PROJECTORS).filter(name => 'density' in PROJECTORS[name]!.example);
      if (json) {
        const names = { optimizers, projectors, configs: presetNames, data: Object.keys(corpusSources) };
        stdout.write(`${JSON.stringify({ ...names, backends: backendNames }, null, 2)}\n`);
        return;
      }
      const { textTable } = await import('../terminal/text.js');
      const { formatCount } = await import('../terminal/text.js');
      const sections = [
        `Optimizers (--optimizer, --optimizers)\n${textTable(
          ['name', 'default learning rate'],
          optimizers.map(name => [name, String(recipe(name).learningRate)]),
        )}`,
        `Models (--config)\n${textTable(
          ['name', 'layers', 'width', 'weights'],
          presetNames.map(name => {
            const config = preset(name);
            const { num_hidden_layers, hidden_size } = config;
            return [name, `${num_hidden_layers}`, `${hidden_size}`, formatCount(parameterCount(config).total)];
          }),
        )}`,
        `Projectors (--projector)\n${textTable(
          ['name', 'the subspace'],
          projectors.map(name => [name, PROJECTORS[name]!.summary]),
          ['left', 'left'],
        )}`,
        `Texts (--data; or a .txt or .jsonl file)\n${Object.keys(corpusSources).join(', ')}`,
        `Backends (--backend)\n${backendNames.join(', ')}`,
      ];
      stdout.write(`${sections.join('\n\n')}\n`);
    });
}
