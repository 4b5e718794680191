import { readFileSync } from 'node:fs';
import { STATE_FREE_RULES } from '@frugaljs/state-free';
import { describe, expect, it } from 'vitest';

const lines = readFileSync(new URL('../README.md', import.meta.url), 'utf8').split('\n');

/** The rows of the table whose header starts with these titles, as cells without backquotes. */
function tableOf(...titles: string[]): string[][] {
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim().replace(/^`(.*)`$/, '$1'));
  const header = lines.findIndex(line => titles.every((title, i) => cells(line)[i] === title));
  const end = lines.findIndex((line, i) => i > header && !line.startsWith('|'));
  return lines.slice(header + 2, end).map(cells);
}

describe('the README', () => {
  it('lists the rules of the table in the same order', () => {
    expect(tableOf('rule', 'direction').map(([kind]) => kind)).toEqual(STATE_FREE_RULES.map(entry => entry.kind));
  });

  const rows = tableOf('rule', 'option', 'default');
  it.each([...new Set(rows.map(([kind]) => kind))])('gives the options of %s and their defaults', kind => {
    const { factory } = STATE_FREE_RULES.find(entry => entry.kind === kind)!;
    const documented = rows.flatMap(([rule, option, value]) => (rule === kind ? [[option, value]] : []));
    // Numbers may be written in any way that reads back as the same number.
    const actual = Object.entries(factory().options).map(([option, value], i) => {
      const text = documented[i]?.[1];
      return [option, typeof value === 'number' && Number(text) === value ? text : String(value)];
    });
    expect(documented).toEqual(actual);
  });
});
