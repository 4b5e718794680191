import {
  BINARY_OPERATIONS,
  constant,
  cosine,
  joined,
  linear,
  REDUCTIONS,
  type Schedule,
  UNARY_OPERATIONS,
  Value,
  warmupCosine,
  warmupStableDecay,
} from '@frugaljs/core';
import { expect, test } from 'vitest';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';

const readme = new ReadmeTables(new URL('../README.md', import.meta.url));

const codeIn = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

test('the table of operations lists the methods of a value, and select', () => {
  const listed = readme.after('## Operations').flatMap(([names]) => codeIn(names!));
  const methods = Object.getOwnPropertyNames(Value.prototype).filter(
    name => !['constructor', 'unary', 'binary', 'reduce'].includes(name),
  );
  expect([...listed].sort()).toEqual([...methods, 'select(condition, x, y)'].sort());
  expect(methods).toEqual(expect.arrayContaining([...UNARY_OPERATIONS, ...BINARY_OPERATIONS, ...REDUCTIONS]));
});

test('the table of schedules lists their options', () => {
  const schedules: readonly Schedule[] = [
    constant(1),
    linear({ from: 0, to: 1, steps: 1 }),
    cosine({ peak: 1, steps: 1 }),
    warmupCosine({ peak: 1, warmupStart: 'step', total: 1 }),
    warmupStableDecay({ peak: 1, warmupStart: 'step', stable: 0, decay: 1 }),
  ];
  const rows = new Map(readme.after('## Schedules').map(([name, options]) => [codeIn(name!)[0], codeIn(options!)]));
  for (const { kind, options } of schedules) expect(rows.get(kind)).toEqual(Object.keys(options));
  expect(rows.get('joined')).toEqual(['parts', 'schedule', 'steps']);
  expect(Object.keys(joined([{ schedule: constant(1) }]).options)).toEqual(['parts']);
  expect(rows.size).toBe(6);
});
