import { type Described, InvalidOptionError, type Projector, requireKnownKeys, UnknownNameError } from '@frugaljs/core';
import { asMatrix } from './as-matrix.js';
import { blockwise } from './blockwise.js';
import { columns } from './columns.js';
import { dct } from './dct.js';
import { type GivenOptions, given } from './given.js';
import { identity } from './identity.js';
import { randK } from './rand-k.js';
import { random } from './random.js';
import { rows } from './rows.js';
import { sketch } from './sketch.js';
import { svd } from './svd.js';
import { svdThenRandom } from './svd-then-random.js';
import { type VaryingJson, varyingOf } from './varying.js';

/** What is known of a projector before it meets a parameter. */
export interface ProjectorEntry {
  /** Builds the projector from its JSON options. */
  create(options: Described['options']): Projector;
  readonly summary: string;
  /** Parameters it works on. */
  readonly parameters: 'any' | 'at least 1 axis' | 'at least 2 axes' | 'matrix';
  /** Numbers per state slot of an m × n parameter with density ρ. a = min(m, n), b = max(m, n). */
  readonly slot: string;
  /** Bytes that describe the subspace. */
  readonly basis: string;
  /** What is written to a checkpoint for the subspace. */
  readonly saved: string;
  /** Options that work for every parameter it supports. */
  readonly example: Described['options'];
  readonly source: string;
}

/** Every projector of this package by the name of its factory. Generic tests and the documentation read this table. */
export const PROJECTORS: Readonly<Record<string, ProjectorEntry>> = {
  svd: {
    create: options => svd(options),
    summary: 'leading singular subspace of the gradient',
    parameters: 'matrix',
    slot: 'b·r, r = round(ρa)',
    basis: '4·a·r',
    saved: 'all of it',
    example: { density: 0.25 },
    source: 'GaLore, arXiv 2403.03507',
  },
  random: {
    create: options => random(options),
    summary: 'random orthonormal basis',
    parameters: 'matrix',
    slot: 'b·r, r = round(ρa)',
    basis: '4·a·r',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'FRUGAL, arXiv 2411.07837',
  },
  sketch: {
    create: options => sketch(options),
    summary: 'Gaussian sketch, not orthonormal',
    parameters: 'matrix',
    slot: 'b·r, r = round(ρa)',
    basis: '4·a·r',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'APOLLO, arXiv 2412.05270',
  },
  svdThenRandom: {
    create: options => svdThenRandom(options),
    summary: 'singular subspaces at first, random ones later',
    parameters: 'matrix',
    slot: 'b·r, r = round(ρa)',
    basis: '4·a·r',
    saved: 'all of it',
    example: { density: 0.25 },
    source: 'GoLore, arXiv 2410.11289',
  },
  dct: {
    create: options => dct(options),
    summary: 'best columns of a fixed cosine basis',
    parameters: 'matrix',
    slot: 'b·r, r = round(ρa)',
    basis: '4·r',
    saved: 'all of it',
    example: { density: 0.25 },
    source: 'arXiv 2505.17967',
  },
  rows: {
    create: options => rows(options),
    summary: 'random rows',
    parameters: 'at least 2 axes',
    slot: 'K·n, K = trunc(ρm)',
    basis: '4·K',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'FRUGAL, arXiv 2411.07837',
  },
  columns: {
    create: options => columns(options),
    summary: 'random columns',
    parameters: 'at least 1 axis',
    slot: 'm·K, K = trunc(ρn)',
    basis: '4·K',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'FRUGAL, arXiv 2411.07837',
  },
  randK: {
    create: options => randK(options),
    summary: 'random entries',
    parameters: 'any',
    slot: 'K = trunc(ρmn)',
    basis: '4·K',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'FRUGAL, arXiv 2411.07837',
  },
  blockwise: {
    create: options => blockwise(options),
    summary: 'whole parameters, some at a time',
    parameters: 'any',
    slot: 'mn if active, else 0',
    basis: '0',
    saved: 'nothing',
    example: { density: 0.25, order: 'descending' },
    source: 'FRUGAL, arXiv 2411.07837; BAdam, arXiv 2404.02827',
  },
  identity: {
    create: options => identity(options as Readonly<Record<string, never>>),
    summary: 'everything',
    parameters: 'any',
    slot: 'mn',
    basis: '0',
    saved: 'nothing',
    example: {},
    source: 'neutral element',
  },
  asMatrix: {
    create: options => {
      requireKnownKeys('asMatrix', options, ['projector']);
      return asMatrix(projectorOf(options['projector'] as unknown as Described));
    },
    summary: 'another projector, on kernels as matrices',
    parameters: 'at least 2 axes',
    slot: 'as its projector',
    basis: 'as its projector',
    saved: 'as its projector',
    example: { projector: { kind: 'svd', options: { density: 0.25 } } },
    source: 'im2col',
  },
  varying: {
    create: options => {
      requireKnownKeys('varying', options, ['projector', 'density']);
      return varyingOf(options as unknown as VaryingJson, projectorOf);
    },
    summary: 'another projector, with a density by refresh',
    parameters: 'any',
    slot: 'as its projector',
    basis: 'as its projector',
    saved: 'as its projector',
    example: {
      projector: { kind: 'randK', options: {} },
      density: { kind: 'linear', options: { from: 0.5, to: 0.25, steps: 3 } },
    },
    source: 'AdaFRUGAL, arXiv 2601.11568',
  },
  given: {
    create: options => given(options as unknown as GivenOptions),
    summary: 'indices or a basis of your own, per refresh',
    parameters: 'any',
    slot: 'as its kind',
    basis: '4 per index or number',
    saved: 'nothing',
    example: { kind: 'randK', indices: { parameter: [[0]] } },
    source: 'replay of recorded runs',
  },
};

function projectorOf(projector: Described): Projector {
  if (typeof projector !== 'object' || projector === null || typeof projector.kind !== 'string') {
    const expected = 'the JSON of a projector';
    throw new InvalidOptionError({ parameter: 'asMatrix.projector', found: projector, expected });
  }
  const { kind, options } = projector;
  const entry = Object.hasOwn(PROJECTORS, kind) ? PROJECTORS[kind] : undefined;
  if (entry !== undefined) return entry.create(options);
  throw new UnknownNameError({
    parameter: 'asMatrix.projector.kind',
    found: kind,
    expected: `one of ${Object.keys(PROJECTORS).join(', ')}`,
  });
}
