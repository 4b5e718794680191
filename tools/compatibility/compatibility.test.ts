import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { listRecipes, PROJECTABLE, recipe } from '@frugaljs/composer';
import { describe, expect, test } from 'vitest';
import {
  BACKENDS,
  continueCheckpoint,
  continueModel,
  type Ending,
  type Fixture,
  type FixtureFile,
  fromBase64,
  useBackend,
} from './fixture.js';

const folder = new URL('fixtures/', import.meta.url);

const files: readonly FixtureFile[] = readdirSync(folder)
  .filter(name => name.endsWith('.json.gz'))
  .map(name => JSON.parse(gunzipSync(readFileSync(new URL(name, folder))).toString()) as FixtureFile);

describe.each(files)('what $writtenBy saved on $backend', ({ backend, fixtures }) => {
  test.each(fixtures)('$name: goes on bit for bit', async fixture => {
    await useBackend(backend);
    const { manifests, ...ending } = await continueCheckpoint(fixture);
    expect(differences(fixture.variables, ending)).toEqual([]);
    expect(sorted(ending.fused)).toEqual(sorted(fixture.variables.fused));
    // Length and CRC-32 of every file are in it: saved again before it went on, no byte of a file is another one.
    const [saved, again] = manifests;
    expect(again).toEqual(saved);
  });

  test.each(fixtures.filter(({ model }) => model !== null))('$name: goes on in tf.layers', async fixture => {
    await useBackend(backend);
    const { artifacts, ...expected } = fixture.model!;
    const ending = await continueModel(artifacts, fixture.course);
    expect(differences(expected, ending)).toEqual([]);
    expect(sorted(ending.fused)).toEqual(sorted(expected.fused));
  });

  test.each(fixtures.filter(isRecipe))(
    '$name: the recipe still makes the same composition',
    ({ recipe: made, composition }) => {
      const optimizer = recipe(made.name, made.options);
      expect(optimizer.toJSON()).toEqual(withOutputsOfToday(composition));
      optimizer.dispose();
    },
  );
});

/**
 * The names by which recipes know an output layer have become more. A model that is loaded goes on with those that it was
 * saved with.
 */
function withOutputsOfToday(composition: unknown): unknown {
  const earlier = /embed|norm|lm_head|logits|classifier|(^|[./_])(wte|wpe|score)([./_]|$)/i;
  const { not } = PROJECTABLE as { readonly not: RegExp };
  expect(not.source.startsWith(`${earlier.source}|`)).toBe(true);
  const [from, to] = [earlier.source, not.source].map(source => JSON.stringify(source));
  return JSON.parse(JSON.stringify(composition).replaceAll(from!, to!));
}

test('every backend has fixtures of recipes, none of which has gone', () => {
  expect(files.map(({ backend }) => backend)).toEqual(expect.arrayContaining([...BACKENDS]));
  for (const { writtenBy, fixtures } of files) {
    const recipes = new Set(fixtures.flatMap(({ recipe: made }) => made?.name ?? []));
    // By the name that was saved, in whatever case it is spelled now.
    for (const name of recipes) expect(listRecipes(name)).toHaveLength(1);
    if (writtenBy === '8ff5ada') expect(recipes.size).toBe(19);
  }
});

test('a bit that differs is reported with its parameter and index', () => {
  const { variables } = files[0]!.fixtures[0]!;
  const [[name, bits], ...others] = Object.entries(variables.parameters) as [[string, string], ...[string, string][]];
  const bytes = fromBase64(bits);
  bytes[4 * 5]! ^= 1;
  const flipped = Buffer.from(bytes).toString('base64');
  const parameters = { [name]: flipped, ...Object.fromEntries(others) };
  expect(differences(variables, variables)).toEqual([]);
  expect(differences(variables, { ...variables, parameters })).toEqual([expect.stringContaining(`${name}[5]: `)]);
});

function isRecipe(fixture: Fixture): fixture is Fixture & { readonly recipe: NonNullable<Fixture['recipe']> } {
  return fixture.recipe !== null;
}

function sorted(names: readonly string[]): readonly string[] {
  return [...names].sort();
}

/** A line for every parameter that differs, with the first place where it does, and for every tensor of state. */
function differences(expected: Ending, found: Ending): readonly string[] {
  const lines: string[] = [];
  for (const name of namesOf(expected.parameters, found.parameters)) {
    const [was, is] = [expected.parameters[name], found.parameters[name]];
    if (was === is) continue;
    if (was === undefined || is === undefined) lines.push(`${name}: ${was === undefined ? 'new' : 'missing'}`);
    else lines.push(firstDifference(name, floatsOf(was), floatsOf(is)));
  }
  for (const name of namesOf(expected.state, found.state)) {
    const [was, is] = [expected.state[name], found.state[name]];
    if (was !== is) lines.push(`state ${name}: ${is ?? 'missing'} instead of ${was ?? 'none'}`);
  }
  return lines;
}

function firstDifference(name: string, was: Float32Array, is: Float32Array): string {
  if (was.length !== is.length) return `${name}: ${is.length} instead of ${was.length} entries`;
  const [before, now] = [was, is].map(each => new Int32Array(each.buffer)) as [Int32Array, Int32Array];
  const at = before.findIndex((bits, i) => bits !== now[i]);
  return `${name}[${at}]: ${is[at]} instead of ${was[at]}`;
}

function floatsOf(bits: string): Float32Array {
  return new Float32Array(fromBase64(bits).buffer);
}

function namesOf(...records: readonly Readonly<Record<string, string>>[]): readonly string[] {
  return [...new Set(records.flatMap(record => Object.keys(record)))];
}
