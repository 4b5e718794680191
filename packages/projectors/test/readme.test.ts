import { readFileSync } from 'node:fs';
import { PROJECTORS } from '@frugaljs/projectors';
import { describe, expect, it } from 'vitest';

const lines = readFileSync(new URL('../README.md', import.meta.url), 'utf8').split('\n');

/** The rows of the table whose header starts with these titles, as cells without backquotes. */
function tableOf(...titles: string[]): string[][] {
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim().replace(/^`(.*)`$/, '$1'));
  const header = lines.findIndex(line => titles.every((title, i) => cells(line)[i] === title));
  const end = lines.findIndex((line, i) => i > header && !line.startsWith('|'));
  return lines.slice(header + 2, end).map(cells);
}

describe('the README', () => {
  it('says of every projector what the table says', () => {
    const documented = Object.fromEntries(tableOf('projector', 'subspace').map(([kind, ...cells]) => [kind, cells]));
    const expected = Object.entries(PROJECTORS).map(([kind, entry]) => {
      const { summary, parameters, slot, basis, saved, source } = entry;
      return [kind, [summary, parameters, slot, basis, saved, source]];
    });
    expect(documented).toEqual(Object.fromEntries(expected));
  });

  const rows = tableOf('projector', 'option', 'default');
  it.each([...new Set(rows.map(([kind]) => kind!))])('gives the options of %s and their defaults', kind => {
    const documented = rows.flatMap(([projector, option, value]) => (projector === kind ? [[option, value]] : []));
    const actual = Object.entries(PROJECTORS[kind]!.create({}).options).map(([option, value]) => [option, `${value}`]);
    expect(documented).toEqual(actual);
  });
});
