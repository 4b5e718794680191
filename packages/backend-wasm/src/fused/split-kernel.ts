import type { SplitAxis } from '@frugaljs/core';
import { type Code, integers, type Local, ModuleBuilder, type ValueType } from '@frugaljs/wasm-assembly';
import { driveColumns } from './split-columns.js';
import { CHUNK, driveEntries } from './split-entries.js';
import type { SplitParts, TierPart } from './split-parts.js';
import { driveRows } from './split-rows.js';
import { type TierSpec, tierParameters } from './tier.js';
import { MOST_ABREAST } from './tier-run.js';

const DRIVERS: Readonly<Record<SplitAxis, (parts: SplitParts) => Code>> = {
  row: driveRows,
  column: driveColumns,
  element: driveEntries,
};

/** Entries of scratch memory that the kernel needs. */
export function scratchEntries(axis: SplitAxis, columns: number): number {
  return axis === 'row' ? 0 : axis === 'column' ? MOST_ABREAST * columns : CHUNK;
}

/**
 * A kernel that updates a parameter and its state in place, each entry by the graph of its tier: the last tier has all
 * entries that the index lists of the others do not name. One pass over memory.
 *
 * `run(rows, columns, scratch, {list, count} of every tier but the last, …{tensors, numbers} of every tier)`. The scratch
 * memory keeps former values of the parameter: see {@link scratchEntries}.
 */
export function splitKernel(axis: SplitAxis, tiers: readonly TierSpec[]): ModuleBuilder {
  const module = new ModuleBuilder();
  const listed = tiers.slice(0, -1);
  const parameters: Record<string, ValueType> = integers('rows', 'columns', 'scratch');
  for (const i of listed.keys()) Object.assign(parameters, integers(`list ${i}`, `count ${i}`));
  tiers.forEach((tier, i) => {
    for (const [name, type] of Object.entries(tierParameters(tier))) parameters[`${i} ${name}`] = type;
  });
  module.define('run', parameters, (locals: Readonly<Record<string, Local>>, scope) => {
    const part = (tier: TierSpec, i: number): TierPart => ({
      name: `tier ${i}`,
      tier,
      args: Object.keys(tierParameters(tier)).map(name => locals[`${i} ${name}`]!),
    });
    return DRIVERS[axis]({
      module,
      scope,
      rows: locals['rows']!,
      columns: locals['columns']!,
      scratch: locals['scratch']!,
      listed: listed.map((tier, i) => ({
        ...part(tier, i),
        list: locals[`list ${i}`]!,
        count: locals[`count ${i}`]!,
      })),
      rest: part(tiers[listed.length]!, listed.length),
    });
  });
  return module;
}
