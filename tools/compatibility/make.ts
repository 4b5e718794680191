// Writes fixtures with whatever version it lies in: `node --conditions=@frugaljs/source --import tsx
// tools/compatibility/make.ts COMMIT` writes fixtures/COMMIT.BACKEND.json.gz. Never over a file that is there.
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import {
  type ComposedOptimizer,
  compose,
  compositionFromJson,
  type Group,
  listRecipes,
  recipe,
  residual,
  subspace,
} from '@frugaljs/composer';
import { cosine, type Json, joined, linear, type Rule, warmupCosine, warmupStableDecay } from '@frugaljs/core';
import { blockwise, columns, dct, given, randK, random, rows, svd } from '@frugaljs/projectors';
import { normalizedSgd, sgd, signSgd, sinkGd } from '@frugaljs/state-free';
import {
  adafactor,
  adaLayer,
  adamMini,
  adamW,
  factoredAdamW,
  lion,
  muon,
  oneSidedAdafactor,
  rmsprop,
  sgdm,
} from '@frugaljs/state-full';
import { dispose } from '@tensorflow/tfjs-core';
import {
  BACKENDS,
  type Course,
  endingOf,
  type Fixture,
  type FixtureFile,
  makeModel,
  makeVariables,
  modelEnding,
  saveCheckpoint,
  saveModel,
  toBase64,
  train,
  useBackend,
} from './fixture.js';

/** What a fixture is made from. */
interface Case {
  readonly name: string;
  readonly recipe?: Fixture['recipe'];
  readonly course?: Partial<Course>;
  /** Whether a model of tf.layers is saved too; not where the composition names its variables. */
  readonly model?: boolean;
  make(): ComposedOptimizer;
}

/** Seven updates before the save: with a subspace for three of them, the third has begun. Two more follow. */
const COURSE: Course = { before: 7, after: 6, notFinite: [], partial: [] };
/** As many updates of two rounds each; the save falls between two rounds. */
const ACCUMULATED: Course = { ...COURSE, before: 15, after: 12 };

const every = { every: 3 } as const;
const MATRICES = { minRank: 2, maxRank: 2 } as const;

function recipeCase(name: string, options: { readonly [key: string]: Json }, label = name): Case {
  const course = options['accumulate'] === 2 ? ACCUMULATED : COURSE;
  return { name: label, recipe: { name, options }, course, make: () => recipe(name, options) };
}

/** Every recipe, with clipping, decay and accumulation in turn. */
function recipeCases(): readonly Case[] {
  return listRecipes().map((name, i) => {
    const splits = name.startsWith('frugal') || name === 'galore';
    return recipeCase(name, {
      learningRate:
        i % 2 === 0 ? 0.02 : { kind: 'warmupCosine', options: { peak: 0.02, warmup: 3, total: 20, floor: 0.1 } },
      seed: 11 + i,
      weightDecay: i % 4 === 3 ? 0 : 0.1,
      ...(splits ? { updateGap: 3, density: 0.5 } : {}),
      ...(name === 'badam' ? { switchEvery: 3, density: 0.5 } : {}),
      ...(i % 2 === 0 ? { clip: { globalNorm: 1.5 } } : {}),
      ...(i % 3 === 1 ? { accumulate: 2 } : {}),
    });
  });
}

/** Recipes with other options than their defaults. */
function recipeVariants(): readonly Case[] {
  const common = { learningRate: 0.02, updateGap: 3, density: 0.5, weightDecay: 0.05 };
  return [
    recipeCase('frugal', { ...common, projector: 'columns', onRefresh: 'transport' }, 'frugal, columns, transport'),
    recipeCase('frugal', { ...common, projector: 'svd', stateFull: 'lion', onRefresh: 'keep' }, 'frugal, svd, keep'),
    recipeCase('frugal-random', { ...common, onRefresh: 'transport', accumulate: 2 }, 'frugal-random, transport'),
    recipeCase('adaLayer', { adaptive: 'lastLayerAndNorms', rest: 'signSgd', restScale: 0.5 }, 'adaLayer, last layer'),
  ];
}

/** A rule on matrices, AdamW on the rest. */
function matrices(use: Rule, group: Partial<Group> = {}, more: object = {}): () => ComposedOptimizer {
  const groups = [
    { match: MATRICES, use, ...group },
    { use: adamW({ epsilon: 1e-6 }), weightDecay: 0.1 },
  ];
  return () => compose({ learningRate: 0.02, groups, seed: 5, ...more });
}

/** Compositions that no recipe makes. */
function customCases(): readonly Case[] {
  const nested = subspace({
    projector: rows({ density: 0.3 }),
    rule: adamW(),
    combine: residual(
      subspace({
        projector: rows({ density: 0.3 }),
        rule: lion(),
        combine: residual(signSgd(), { scale: 0.5 }),
        refresh: { every: 4 },
        onRefresh: 'keep',
      }),
      { scale: 0.75 },
    ),
    refresh: every,
  });
  const threeTiers = (onRefresh: 'reset' | 'transport'): Rule =>
    subspace({
      projector: randK({ density: 0.25 }),
      rule: rmsprop({ momentum: 0.5 }),
      combine: residual(
        subspace({
          projector: randK({ density: 0.25 }),
          rule: sgdm({ nesterov: true }),
          combine: residual(
            subspace({
              projector: randK({ density: 0.25 }),
              rule: adamW(),
              combine: residual(sgd()),
              refresh: { every: 2 },
              onRefresh,
            }),
          ),
          refresh: every,
          onRefresh,
        }),
      ),
      refresh: every,
      onRefresh,
    });
  const turns = (order: 'shuffled' | 'mirror', unit: 'layer' | 'matrix'): Rule =>
    subspace({
      projector: blockwise({ density: 0.5, order, unit }),
      rule: adamW(),
      combine: residual(lion({ beta1: 0.8 })),
      refresh: every,
    });
  return [
    {
      name: 'rows in the residual of rows',
      make: matrices(nested, { weightDecay: 0.1 }, { clip: { value: 0.5, globalNorm: 1 } }),
    },
    { name: 'three tiers, reset', make: matrices(threeTiers('reset')) },
    {
      name: 'three tiers, transport',
      make: matrices(threeTiers('transport'), {}, { accumulate: 2 }),
      course: ACCUMULATED,
    },
    {
      name: 'columns, transport, stagger',
      make: matrices(
        subspace({
          projector: columns({ density: 0.4 }),
          rule: adamW(),
          combine: residual(signSgd()),
          refresh: { every: 3, stagger: true },
          onRefresh: 'transport',
        }),
        { weightDecay: 0.1, decay: 'after', lrScale: 0.5 },
      ),
    },
    {
      name: 'blocks of layers, shuffled',
      make: matrices(turns('shuffled', 'layer'), { decayInactive: false, weightDecay: 0.2 }),
    },
    { name: 'blocks of matrices, mirror', make: matrices(turns('shuffled', 'matrix'), { match: /kernel|up|down/ }) },
    {
      name: 'lion, schedule in parts',
      make: () =>
        compose({
          learningRate: joined([
            { schedule: linear({ from: 0.001, to: 0.02, steps: 4 }), steps: 5 },
            { schedule: cosine({ peak: 0.02, steps: 6, floor: 0.1 }) },
          ]),
          groups: [
            { match: /down|conv/, frozen: true, optional: true },
            { use: lion(), weightDecay: 0.3 },
          ],
        }),
    },
    {
      name: 'muon',
      make: matrices(
        muon({ steps: 3 }),
        { weightDecay: 0.1 },
        {
          learningRate: warmupStableDecay({ peak: 0.02, warmup: 2, stable: 5, decay: 5 }),
        },
      ),
    },
    {
      name: 'muon in a singular subspace',
      make: matrices(
        subspace({
          projector: svd({ rank: 2, method: 'randomized' }),
          rule: muon(),
          refresh: every,
          onRefresh: 'transport',
        }),
      ),
    },
    {
      name: 'given rows',
      model: false,
      make: () => {
        const indices = {
          'layers.0.up.weight': [
            [0, 3, 5],
            [1, 2, 6],
            [4, 3, 0],
          ],
          'lm_head.weight': [[2], [0]],
        };
        const use = subspace({
          projector: given({ kind: 'rows', indices }),
          rule: adamW(),
          combine: residual(signSgd()),
          refresh: every,
          onRefresh: 'transport',
        });
        return compose({ learningRate: 0.02, groups: [{ match: Object.keys(indices), use }, { use: sgdm() }] });
      },
    },
    {
      name: 'given basis',
      model: false,
      make: () => {
        const left = [
          [0.6, 0],
          [0.8, 0],
          [0, 1],
          [0, 0],
          [0, 0],
          [0, 0],
        ];
        const next = [
          [0, 0.28],
          [0, 0],
          [1, 0],
          [0, 0.96],
          [0, 0],
          [0, 0],
        ];
        const use = subspace({
          projector: given({ kind: 'left', basis: { 'embed.weight': [left, next] } }),
          rule: adamW(),
          combine: residual(sgd(), { scale: 0.25 }),
          refresh: every,
          onRefresh: 'transport',
        });
        return compose({ learningRate: 0.02, groups: [{ match: 'embed.weight', use }, { use: signSgd() }] });
      },
    },
    {
      name: 'cosines with the largest norm, adamMini by columns',
      make: matrices(
        subspace({
          projector: dct({ density: 0.5, norm: 'l2' }),
          rule: adamMini({ block: 'column' }),
          combine: residual(normalizedSgd(), { scale: 0.1 }),
          refresh: every,
          onRefresh: 'transport',
        }),
        { weightDecay: 0.1 },
      ),
    },
    {
      name: 'random from both sides, factored moments',
      make: matrices(
        subspace({
          projector: random({ rank: 2, side: 'full' }),
          rule: factoredAdamW(),
          combine: residual(oneSidedAdafactor()),
          refresh: every,
        }),
      ),
    },
    {
      name: 'a subspace in a subspace',
      make: matrices(
        subspace({
          projector: svd({ rank: 3, side: 'reverse_std' }),
          rule: subspace({
            projector: columns({ density: 0.5 }),
            rule: adaLayer({ per: 'column' }),
            refresh: { every: 2 },
          }),
          combine: residual(signSgd()),
          refresh: { every: 4 },
          onRefresh: 'keep',
        }),
      ),
    },
    {
      name: 'split along both axes',
      make: matrices(
        subspace({
          projector: rows({ density: 0.5 }),
          rule: adamW(),
          combine: residual(
            subspace({
              projector: columns({ density: 0.5 }),
              rule: adafactor({ beta1: 0.9 }),
              combine: residual(sinkGd()),
              refresh: every,
            }),
          ),
          refresh: { every: 1 },
          onRefresh: 'transport',
        }),
      ),
    },
    {
      name: 'skipped updates and missing gradients',
      course: { notFinite: [2, 9], partial: [1, 4, 5, 8, 10] },
      make: matrices(
        subspace({
          projector: randK({ density: 0.5 }),
          rule: adamW(),
          combine: residual(signSgd()),
          refresh: every,
          onRefresh: 'transport',
        }),
        {},
        { onNonFinite: 'skip' },
      ),
    },
    {
      name: 'skipped rounds of accumulation',
      course: { ...ACCUMULATED, notFinite: [4, 16], partial: [1, 7, 15, 20] },
      make: matrices(nested, {}, { accumulate: 2, onNonFinite: 'skip' }),
    },
    {
      name: 'one subspace for the whole run, heads',
      make: () =>
        compose({
          learningRate: warmupCosine({ peak: 0.02, warmup: 2, total: 12 }),
          groups: [
            { match: { name: /up/, minRank: 2 }, use: adamMini({ heads: 1 }), weightDecay: 0.1 },
            {
              match: { minRank: 2 },
              use: subspace({
                projector: columns({ density: 0.5 }),
                rule: adamW(),
                refresh: { every: Number.POSITIVE_INFINITY },
              }),
            },
            { use: sgdm({ convention: 'ema', biasCorrection: true }) },
          ],
        }),
    },
  ];
}

/** The reference instead of fused kernels, for a few. */
function referenceCases(): readonly Case[] {
  const names = ['frugal-columns', 'frugal-blockwise', 'frugal-svd', 'adamW', 'adafactor'];
  const options = { kernels: 'reference', learningRate: 0.02, weightDecay: 0.1, clip: { globalNorm: 1.5 } };
  const recipes = names.map(name => {
    const split: { readonly [key: string]: Json } = name.startsWith('frugal')
      ? { updateGap: 3, density: 0.5, onRefresh: 'transport' }
      : {};
    return recipeCase(name, { ...options, ...split }, `${name}, reference`);
  });
  const custom = customCases().filter(({ name }) => /^rows in|^three tiers, tr/.test(name));
  const byReference = custom.map(each => ({
    ...each,
    name: `${each.name}, reference`,
    make: () => compose({ ...compositionFromJson(each.make().toJSON() as Json), kernels: 'reference' }),
  }));
  return [...recipes, ...byReference];
}

async function makeFixture(
  { name, recipe = null, course = {}, model = true, make }: Case,
  prefix: string,
): Promise<Fixture> {
  const whole = { ...COURSE, ...course };
  const rounds = whole.before + whole.after;
  const optimizer = make();
  const composition = optimizer.toJSON() as Json;
  const variables = makeVariables();
  train(optimizer, Object.values(variables), whole, 0, whole.before);
  const archive = toBase64(await saveCheckpoint(variables, optimizer));
  train(optimizer, Object.values(variables), whole, whole.before, rounds);
  const ending = await endingOf(optimizer, Object.values(variables));
  optimizer.dispose();
  dispose(Object.values(variables));
  const fixture = { name, recipe, composition, course: whole, variables: { archive, ...ending }, model: null };
  if (!model) return fixture;
  const layers = makeModel(prefix);
  layers.compile({ optimizer: make(), loss: 'meanSquaredError' });
  const trained = layers.optimizer as ComposedOptimizer;
  train(trained, layers.weights, whole, 0, whole.before);
  const artifacts = await saveModel(layers);
  train(trained, layers.weights, whole, whole.before, rounds);
  const modelPart = { artifacts, ...(await modelEnding(layers)) };
  trained.dispose();
  layers.dispose();
  return { ...fixture, model: modelPart };
}

const writtenBy = process.argv[2];
if (writtenBy === undefined) throw new Error('Usage: make.ts COMMIT');
for (const backend of BACKENDS) {
  await useBackend(backend);
  const cases = [
    ...recipeCases(),
    ...recipeVariants(),
    ...customCases(),
    ...(backend === 'cpu' ? referenceCases() : []),
  ];
  const fixtures: Fixture[] = [];
  for (const [i, each] of cases.entries()) {
    try {
      fixtures.push(await makeFixture(each, `${backend}${i}`));
    } catch (error) {
      throw new Error(`${backend}: ${each.name}`, { cause: error });
    }
  }
  const file: FixtureFile = { writtenBy, backend, fixtures };
  const bytes = gzipSync(JSON.stringify(file), { level: 9 });
  // The operating system is no part of what was written.
  bytes[9] = 255;
  const path = new URL(`fixtures/${writtenBy}.${backend}.json.gz`, import.meta.url);
  writeFileSync(path, bytes, { flag: 'wx' });
  console.log(`${path.pathname.split('/').pop()}: ${fixtures.length} fixtures, ${bytes.length} bytes`);
}
