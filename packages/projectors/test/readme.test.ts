import { PROJECTORS } from '@frugaljs/projectors';
import { describe, expect, it } from 'vitest';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';

const readme = new ReadmeTables(new URL('../README.md', import.meta.url));

describe('the README', () => {
  it('says of every projector what the table says', () => {
    const documented = Object.fromEntries(
      readme.titled('projector', 'subspace').map(([kind, ...cells]) => [kind, cells]),
    );
    const expected = Object.entries(PROJECTORS).map(([kind, entry]) => {
      const { summary, parameters, slot, basis, saved, source } = entry;
      return [kind, [summary, parameters, slot, basis, saved, source]];
    });
    expect(documented).toEqual(Object.fromEntries(expected));
  });

  const rows = readme.titled('projector', 'option', 'default');
  it.each([...new Set(rows.map(([kind]) => kind!))])('gives the options of %s and their defaults', kind => {
    const documented = rows.flatMap(([projector, option, value]) => (projector === kind ? [[option, value]] : []));
    const actual = Object.entries(PROJECTORS[kind]!.create({}).options).map(([option, value]) => [option, `${value}`]);
    expect(documented).toEqual(actual);
  });
});
