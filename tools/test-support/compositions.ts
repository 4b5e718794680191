import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import {
  type ComposedOptimizer,
  type ComposeOptions,
  compose,
  drop,
  type Group,
  listRecipes,
  recipe,
  residual,
  subspace,
} from '@frugaljs/composer';
import type { Rule } from '@frugaljs/core';
import { blockwise, columns, randK, rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion, sgdm } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Where an optimizer can run: the backend, and its fused kernels or tfjs operations. */
export interface Place {
  readonly backend: 'cpu' | 'wasm';
  readonly kernels: NonNullable<ComposeOptions['kernels']>;
}

export const PLACES: readonly Place[] = [
  { backend: 'cpu', kernels: 'auto' },
  { backend: 'cpu', kernels: 'reference' },
  { backend: 'wasm', kernels: 'auto' },
  { backend: 'wasm', kernels: 'reference' },
];

/** What a composition is made with, besides its parts. */
export type Settings = Partial<Omit<ComposeOptions, 'groups'>>;

/** Options of the recipes whose subspaces would otherwise not change within a few updates. */
const OPTIONS: Readonly<Record<string, object>> = {
  frugal: { density: 0.5, updateGap: 4 },
  'frugal-rows': { density: 0.5, updateGap: 3, stateFull: 'sgdm', onRefresh: 'keep' },
  'frugal-columns': { density: 0.5, updateGap: 4 },
  'frugal-randK': { density: 0.5, updateGap: 3, onRefresh: 'transport' },
  'frugal-svd': { density: 0.5, updateGap: 4, onRefresh: 'transport' },
  'frugal-random': { density: 0.5, updateGap: 2 },
  'frugal-dct': { density: 0.5, updateGap: 3 },
  'frugal-blockwise': { density: 0.5, updateGap: 3 },
  galore: { density: 0.5, updateGap: 3 },
  badam: { density: 0.5, switchEvery: 3 },
  adamW: { weightDecay: 0.1 },
  // Gradients leave the basis of their longer side arbitrary: roundings choose it, which differ between backends.
  soap: { soap: { maxDimension: 3, every: 3 } },
};

function composed(use: Rule, ...before: readonly Group[]): (settings: Settings) => ComposedOptimizer {
  return settings =>
    compose({
      learningRate: 0.01,
      ...settings,
      groups: [...before, { match: { minRank: 2 }, use, weightDecay: 0.1 }, { use: adamW() }],
    });
}

const HAND_MADE: Readonly<Record<string, (settings: Settings) => ComposedOptimizer>> = {
  'two splits': composed(
    subspace({
      projector: randK({ density: 0.25 }),
      rule: adamW(),
      combine: residual(
        subspace({
          projector: randK({ density: 0.25 }),
          rule: sgdm(),
          combine: residual(signSgd()),
          refresh: { every: 3 },
        }),
      ),
      refresh: { every: 4, stagger: true },
      onRefresh: 'transport',
    }),
  ),
  'svd of rows': composed(
    subspace({
      projector: rows({ density: 0.5 }),
      rule: subspace({
        projector: svd({ rank: 1 }),
        rule: adamW(),
        combine: residual(signSgd()),
        refresh: { every: 2 },
      }),
      combine: drop(),
      refresh: { every: 4 },
    }),
  ),
  'blocks at rest that decay': composed(
    subspace({
      projector: blockwise({ density: 0.5, order: 'ascending' }),
      rule: adamW(),
      combine: drop(),
      refresh: { every: 2 },
    }),
  ),
  'turns that are staggered': composed(
    subspace({
      projector: columns({ density: 0.5 }),
      rule: adamW(),
      combine: residual(sgdm()),
      refresh: { every: 4, stagger: true },
    }),
  ),
  'blocks in several groups': composed(
    subspace({
      projector: blockwise({ density: 0.5, order: 'shuffled' }),
      rule: lion(),
      combine: residual(signSgd(), { scale: 0.5 }),
      refresh: { every: 2 },
    }),
    {
      match: /layers\.[02]/,
      optional: true,
      use: subspace({
        projector: blockwise({ density: 0.5, order: 'descending' }),
        rule: adamW(),
        combine: residual(
          subspace({
            projector: randK({ density: 0.5 }),
            rule: sgdm(),
            combine: drop(),
            refresh: { every: 3 },
            onRefresh: 'keep',
          }),
        ),
        refresh: { every: 3 },
      }),
    },
  ),
};

/** Names of what is composed: all recipes, and compositions that no recipe makes. */
export const COMPOSITIONS: readonly string[] = [...listRecipes(), ...Object.keys(HAND_MADE)];

/** Composes one of {@link COMPOSITIONS}. */
export function composition(name: string, settings: Settings = {}): ComposedOptimizer {
  const handMade = HAND_MADE[name];
  if (handMade !== undefined) return handMade(settings);
  return recipe(name, { learningRate: 0.01, ...OPTIONS[name], ...settings } as never);
}

/** All bits of tensors, so that NaN and -0 count too. */
export function bitsOf(tensors: readonly Tensor[]): string {
  return tensors
    .map(each => {
      const values = each.dataSync();
      return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
    })
    .join(' ');
}
