import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import type { Combine, Projector, Rule } from '@frugaljs/core';
import { blockwise, columns, dct, identity, randK, random, rows, svd } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adamW, lion, muon, sgdm } from '@frugaljs/state-full';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { useBackend } from '../../../tools/test-support/backends.js';
import {
  averaged,
  biasCorrected,
  cautious,
  ema,
  feedback,
  limitGrowth,
  normalized,
  residual,
  scaled,
  scaledGradient,
  scaledResidual,
  scheduleFree,
  subspace,
} from '../src/index.js';
import { cases, compare } from './fused-and-reference.js';

const PROJECTORS: Readonly<Record<string, (density: number) => Projector>> = {
  rows: density => rows({ density }),
  columns: density => columns({ density }),
  randK: density => randK({ density }),
  blockwise: density => blockwise({ density }),
  identity: () => identity(),
  svd: density => svd({ density }),
  random: density => random({ density }),
  dct: density => dct({ density }),
};

const COMBINES: Readonly<Record<string, () => Combine>> = {
  scaledResidual: () => scaledResidual(),
  'scaledResidual as in code': () => scaledResidual({ scale: 0.25, share: 0.25 }),
  'scaledResidual of the whole gradient': () => scaledResidual({ share: 0, factor: Number.POSITIVE_INFINITY }),
  scaledGradient: () => scaledGradient(),
  'scaledGradient per tensor': () => scaledGradient({ per: 'tensor', scale: 3 }),
  feedback: () => feedback(),
};

const WRAPPERS: Readonly<Record<string, (rule: Rule) => Rule>> = {
  nothing: rule => rule,
  limitGrowth: rule => limitGrowth(rule, { factor: 1.05 }),
  'limitGrowth twice': rule => limitGrowth(limitGrowth(rule), { factor: 1.5 }),
  biasCorrected: rule => biasCorrected(rule),
  cautious: rule => cautious(rule),
  ema: rule => ema(rule, { beta: 0.5 }),
  normalized: rule => normalized(rule),
  'normalized per row': rule => normalized(rule, { per: 'row' }),
  'scaled, in a limit': rule => limitGrowth(scaled(rule, 0.5)),
};

/** Those that stand around whole rules alone. */
const AVERAGES: typeof WRAPPERS = {
  averaged: rule => averaged(rule, { decay: 0.8 }),
  scheduleFree: rule => scheduleFree(rule, { weightDecay: 0.1 }),
  'scheduleFree, weighted, in a limit': rule =>
    limitGrowth(scheduleFree(rule, { beta: 0.7, power: 1, ratePower: 0.5 })),
};

describe.each(['wasm', 'cpu'])('fused kernels agree with the reference on %s', backend => {
  useBackend(backend);

  const places = fc.record({
    density: fc.constantFrom(0.3, 0.6, 1),
    every: fc.constantFrom(2, 4),
    onRefresh: fc.constantFrom('reset' as const, 'keep' as const, 'transport' as const),
    clip: fc.constantFrom({}, { value: 0.9, globalNorm: 0.5 }),
    wrapper: fc.constantFrom(...Object.keys({ ...WRAPPERS, ...AVERAGES })),
    weightDecay: fc.constantFrom(0, 0.1),
  });

  test.each(Object.keys(PROJECTORS).flatMap(name => Object.keys(COMBINES).map(combine => [name, combine] as const)))(
    '%s, %s',
    (name, combine) => {
      fc.assert(
        fc.property(cases(2, 7), places, (stream, { density, every, onRefresh, clip, wrapper, weightDecay }) => {
          const isDense = ['svd', 'random', 'dct'].includes(name);
          // An entry whose sign is that of rounding noise is kept in one way to compute it and left out in another.
          fc.pre(!(isDense && wrapper === 'cautious'));
          // A norm of few products that cancel has few digits, and so has the ratio of two.
          const larger = isDense ? 7 : 3;
          const matrices = { ...stream, shapes: stream.shapes.map(shape => shape.slice(0, 2).map(n => n + larger)) };
          const use = { ...WRAPPERS, ...AVERAGES }[wrapper]!(
            subspace({
              projector: PROJECTORS[name]!(isDense ? Math.max(0.6, density) : density),
              rule: adamW(),
              combine: COMBINES[combine]!(),
              refresh: { every },
              onRefresh,
            }),
          );
          const { worst, kernels } = compare(matrices, { learningRate: 0.03, clip, groups: [{ use, weightDecay }] });
          expect(worst).toBeLessThan(isDense ? 2e-4 : 2e-6);
          if (backend === 'wasm' && name !== 'blockwise' && onRefresh !== 'transport') {
            for (const kernel of kernels) expect(kernel).toMatch(/one pass/);
          }
        }),
        { numRuns: 12 },
      );
    },
  );

  test.each(Object.keys(WRAPPERS))('%s around plain rules and within splits', wrapper => {
    const rules = { adamW, lion, sgdm, sgd, muon } as const;
    const drawn = fc.constantFrom(...(Object.keys(rules) as (keyof typeof rules)[]));
    fc.assert(
      fc.property(cases(2, 6), drawn, fc.constantFrom('alone', 'inside', 'outside'), (stream, name, place) => {
        const matrices = { ...stream, shapes: stream.shapes.map(shape => shape.slice(0, 2)) };
        const rule = WRAPPERS[wrapper]!(rules[name]());
        const use =
          place === 'alone'
            ? rule
            : subspace({
                projector: rows({ density: 0.5 }),
                rule: place === 'inside' && name !== 'muon' ? rule : adamW(),
                combine: residual(place === 'outside' ? rule : signSgd()),
                refresh: { every: 3 },
              });
        const { worst } = compare(matrices, { learningRate: 0.03, groups: [{ use }] });
        expect(worst).toBeLessThan(name === 'muon' ? 1e-5 : 2e-6);
      }),
      { numRuns: 20 },
    );
  });
});
