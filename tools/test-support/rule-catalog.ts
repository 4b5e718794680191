// What a package of rules is held to as a whole, besides the laws of each of its rules: that rules are made again from
// their options, that the README says what the table of rules says, and that no rule is forgotten.
import { readdirSync, readFileSync } from 'node:fs';
import { InvalidOptionError, type Rule } from '@frugaljs/core';
import { describe, expect, it } from 'vitest';
import type { ReadmeTables } from './readme-tables.js';

/** What the table of a package says of a rule. */
interface RuleEntry {
  readonly kind: string;
  factory(options?: object): Rule;
}

/**
 * Describes that a rule is made again from its options, and that nothing else is taken for options.
 *
 * @param foreign An option that no rule of the package has.
 */
export function describeOptions(rule: Rule, table: readonly RuleEntry[], foreign: object): void {
  const { factory } = table.find(entry => entry.kind === rule.kind)!;

  it('is described by JSON that makes the same rule again', () => {
    const json = JSON.parse(JSON.stringify(rule.options)) as object;
    expect(json).toEqual(rule.options);
    const again = factory(json);
    expect({ kind: again.kind, options: again.options }).toEqual({ kind: rule.kind, options: rule.options });
  });

  it('rejects unknown options and values of the wrong type', () => {
    expect(() => factory({ ...rule.options, ...foreign })).toThrow(InvalidOptionError);
    for (const key of Object.keys(rule.options)) {
      for (const value of [{}, 'nonsense', Number.NaN, Number.POSITIVE_INFINITY, -77]) {
        expect(() => factory({ ...rule.options, [key]: value })).toThrow(InvalidOptionError);
        expect(() => factory({ ...rule.options, [key]: value })).toThrow(`${rule.kind}.${key}`);
      }
    }
  });
}

/** Describes that a README lists the rules of a table, and their options with the defaults. */
export function describeReadme(readme: ReadmeTables, table: readonly RuleEntry[]): void {
  describe('the README', () => {
    it('lists the rules of the table in the same order', () => {
      expect(readme.titled('rule', 'direction').map(([kind]) => kind)).toEqual(table.map(entry => entry.kind));
    });

    const rows = readme.titled('rule', 'option', 'default');
    it.each([...new Set(rows.map(([kind]) => kind))])('gives the options of %s and their defaults', kind => {
      const { factory } = table.find(entry => entry.kind === kind)!;
      const documented = rows.flatMap(([rule, option, value]) => (rule === kind ? [[option, value]] : []));
      // Numbers may be written in any way that reads back as the same number.
      const actual = Object.entries(factory().options).map(([option, value], i) => {
        const text = documented[i]?.[1];
        return [option, typeof value === 'number' && Number(text) === value ? text : String(value)];
      });
      expect(documented).toEqual(actual);
    });
  });
}

/**
 * Whether a test of its own tries a primitive, as a generated one does.
 *
 * @param folder The tests of its package.
 * @param call Such as `describeRuleLaws(lion`.
 */
export function isTriedAlone(folder: string, call: string): boolean {
  return readdirSync(folder)
    .filter(file => file.endsWith('.test.ts'))
    .some(file => readFileSync(`${folder}/${file}`, 'utf8').includes(call));
}
