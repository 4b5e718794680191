import type { OptionSpec, OptionTable } from '@frugaljs/core';
import { describe, expect, test } from 'vitest';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import { COMPOSE_OPTIONS, GROUP_OPTIONS, listRecipes, recipe, recipeOptions, SUBSPACE_OPTIONS } from '../src/index.js';
import { REFRESH_OPTIONS } from '../src/options.js';

// The tables of options in the README are those that options are checked by.

const readme = new ReadmeTables(new URL('../README.md', import.meta.url));

function shownDefault(spec: OptionSpec): string {
  if (spec.shown !== undefined) return spec.shown;
  if (spec.default === undefined) return '';
  return typeof spec.default === 'string' ? `\`${spec.default}\`` : String(spec.default);
}

const rowsOf = (table: OptionTable): string[][] =>
  Object.entries(table).map(([name, spec]) => [`\`${name}\``, shownDefault(spec), spec.meaning]);

test.each([
  ['## `compose(options)`', COMPOSE_OPTIONS],
  ['A group:', GROUP_OPTIONS],
  ['## `subspace(options)`', SUBSPACE_OPTIONS],
  ['### Refreshes by what training shows', REFRESH_OPTIONS],
])('the table after "%s" is the one that options are checked by', (line, table) => {
  expect(readme.after(line)).toEqual(rowsOf(table));
});

describe('recipes', () => {
  const rows = readme.after('## Recipes');
  /** `frugal-svd` is written `-svd` after `frugal`. */
  const namesIn = (cell: string): string[] =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => (name!.startsWith('-') ? `frugal${name}` : name!));
  const own = (name: string): OptionTable => {
    const common = recipeOptions('adamW');
    return Object.fromEntries(Object.entries(recipeOptions(name)).filter(([option]) => !(option in common)));
  };

  test('all are in the table, once', () => {
    expect(rows.flatMap(([names]) => namesIn(names!)).sort()).toEqual([...listRecipes()].sort());
  });

  test.each(listRecipes())('%s: the options that are its own, with their defaults', name => {
    const [, options] = rows.find(([names]) => namesIn(names!).includes(name))!;
    const documented = name.startsWith('frugal-')
      ? { ...own(name), projector: own('frugal')['projector']! }
      : own(name);
    for (const [option, { default: value }] of Object.entries(documented)) {
      if (documented[option]!.meaning.startsWith('as in the rule')) continue;
      const shown = value === undefined ? '' : ` ${String(value).replace(/^0\./, '.')}`;
      expect(options, option).toContain(`\`${option}\`${shown}`);
    }
  });

  test.each(listRecipes())('%s: takes what its table lists, and says no to the rest', name => {
    for (const [option, spec] of Object.entries(recipeOptions(name))) {
      if (spec.default === undefined || option === 'onNonFinite') continue;
      recipe(name, { [option]: spec.default }).dispose();
      if (spec.type === 'structure') continue;
      const found = { type: 'of no option' };
      expect(() => recipe(name, { [option]: found }), option).toThrow(new RegExp(`\\.${option}: expected`));
    }
    expect(() => recipe(name, { learningrates: 1 })).toThrow(/learningrates/);
  });
});
