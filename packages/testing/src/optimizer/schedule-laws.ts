import { matrixView, type Projector } from '@frugaljs/core';
import { dispose } from '@tensorflow/tfjs-core';
import { type Law, optimizerLaw, require } from '../law.js';
import { type Algebra, composed, RATE } from './algebra.js';
import { scheduleExamples } from './schedule-examples.js';
import {
  applyStep,
  end,
  follow,
  gradientValues,
  makeVariables,
  requireSamePath,
  startValues,
  type Values,
} from './trajectory.js';

/** Laws of when things happen: refreshes, resets, decay, missing gradients. */
export const SCHEDULE_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'refresh at 0, T, 2T …',
    formula: 'fit is called in updates 0, T, 2T … with refreshes 0, 1, 2 …, once per parameter, and in no other',
    why: 'A subspace that moves too often gives momentum no time; one that moves too late misses the gradient.',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every }) => {
      const fits: { readonly update: number; readonly refreshIndex: number; readonly name: string }[] = [];
      let update = 0;
      const inner = algebra.projectors.rows({ density: 0.5 });
      const projector: Projector = {
        ...inner,
        fit: (g, previous, context) => {
          fits.push({ update, refreshIndex: context.refreshIndex, name: context.site.name });
          return inner.fit(g, previous, context);
        },
      };
      const use = algebra.subspace({ projector, rule: algebra.rules.adamW(), refresh: { every } });
      const variables = makeVariables(stream, startValues(stream));
      const optimizer = composed(algebra, use);
      for (; update < stream.steps; update++) applyStep(optimizer, stream, gradientValues(stream, update));
      await end(optimizer);
      dispose(variables);
      for (const [name, shape] of Object.entries(stream.shapes)) {
        const found = fits.filter(fit => fit.name === name).map(fit => `${fit.update} (refresh ${fit.refreshIndex})`);
        const hasRows = Math.trunc(0.5 * matrixView(shape)[0]) > 0;
        const count = hasRows ? Math.ceil(stream.steps / every) : 0;
        const expected = Array.from(
          { length: count },
          (_, refreshIndex) => `${refreshIndex * every} (refresh ${refreshIndex})`,
        );
        require(found.join() === expected.join(), () =>
          `"${name}" is fitted in updates ${found.join(', ')}, expected ${expected.join(', ')}`);
      }
    },
  }),
  optimizerLaw({
    name: 'decay order',
    formula: 'before: W ← (1 - ηλ)W - η s d; after: W ← (1 - ηλ)(W - η s d)',
    why: 'Published methods differ here; the two drift apart by η²λ per step.',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, weightDecay }) => {
      for (const decay of ['before', 'after'] as const) {
        const found = await follow(
          stream,
          composed(algebra, algebra.rules.sgd(), { weightDecay, decay, lrScale: 0.5 }),
        );
        const values = Object.fromEntries(
          Object.entries(startValues(stream)).map(([name, x]) => [name, Float64Array.from(x)]),
        );
        const keep = 1 - RATE * weightDecay;
        const expected = Array.from({ length: stream.steps }, (_, step): Values => {
          for (const [name, g] of Object.entries(gradientValues(stream, step))) {
            const w = values[name]!;
            g.forEach((x, i) => {
              const move = RATE * 0.5 * x;
              w[i] = decay === 'before' ? w[i]! * keep - move : (w[i]! - move) * keep;
            });
          }
          return Object.fromEntries(Object.entries(values).map(([name, x]) => [name, Float32Array.from(x)]));
        });
        requireSamePath(`decay ${decay} the step`, found, expected, 2e-6);
      }
    },
  }),
];
