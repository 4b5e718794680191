import { dispose } from '@tensorflow/tfjs-core';
import { type Law, optimizerLaw } from '../law.js';
import { requireAtMost, requireSame, show } from '../numerics/closeness.js';
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
  valuesOf,
  withShapes,
} from './trajectory.js';

/** Laws of what gradients do: where there is none, and however large they are. */
export const GRADIENT_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'missing gradients',
    formula: 'a parameter without a gradient rests, keeps its state and its own count of steps; the others go on',
    why: 'The first parameter may be frozen or unused; it must not decide when the others refresh.',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every }) => {
      const two = withShapes(stream, { a: [2, 3], b: [3, 2] });
      const present = (step: number): boolean => step % 2 === 1;
      const gradients = (step: number): Values => {
        const { a, b } = gradientValues(two, step) as { a: Float32Array; b: Float32Array };
        return present(step) ? { a, b } : { b };
      };
      const hybrid = algebra.subspace({
        projector: algebra.projectors.rows({ density: 0.5 }),
        rule: algebra.rules.adamW(),
        combine: algebra.residual(algebra.rules.signSgd()),
        refresh: { every },
      });
      const alone = withShapes(two, { b: [3, 2] });
      const rest = (step: number): Values => ({ b: gradientValues(two, step)['b']! });
      const both = await follow(two, composed(algebra, hybrid), { gradients });
      const expected = await follow(alone, composed(algebra, hybrid), { gradients: rest, start: startValues(two) });
      requireSamePath('the other parameter', both, expected);
      // With a plain rule the parameter takes the steps it would take without the gaps.
      const gaps = await follow(two, composed(algebra, algebra.rules.adamW()), { gradients });
      const steps = [...Array(two.steps).keys()].filter(present);
      if (steps.length === 0) return;
      const dense = { ...withShapes(two, { a: [2, 3] }), steps: steps.length };
      const only = (i: number): Values => ({ a: gradientValues(two, steps[i]!)['a']! });
      const closed = await follow(dense, composed(algebra, algebra.rules.adamW()), {
        gradients: only,
        start: startValues(two),
      });
      requireSamePath(
        'the parameter with gaps',
        steps.map(step => ({ a: gaps[step]!['a']! })),
        closed,
      );
      for (let step = 0; step < two.steps; step++) {
        if (present(step)) continue;
        const before = step === 0 ? startValues(two) : gaps[step - 1]!;
        requireSame(`the parameter without gradient in step ${step + 1}`, gaps[step]!['a']!, before['a']!);
      }
    },
  }),
  optimizerLaw({
    name: 'step bound',
    formula: 'coordinate projector, Adam inside, sign outside: ‖ΔW‖∞ ≤ η max(bound(t), s)',
    why: 'The learning rate must bound every weight’s movement, whatever the gradients.',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const scale = [1, 0.5][seed % 2]!;
      const use = algebra.subspace({
        projector: algebra.projectors.randK({ density: 0.5 }),
        rule: algebra.rules.adamW(),
        combine: algebra.residual(algebra.rules.signSgd(), { scale }),
        refresh: { every },
      });
      const q = 0.9 ** 2 / 0.999;
      const variables = makeVariables(stream, startValues(stream));
      const optimizer = composed(algebra, use);
      try {
        for (let step = 0; step < stream.steps; step++) {
          const before = await valuesOf(variables);
          applyStep(optimizer, stream, gradientValues(stream, step));
          const t = (step % every) + 1;
          const adam =
            ((0.1 / Math.sqrt(0.001)) * Math.sqrt((1 - q ** t) / (1 - q)) * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t);
          const bound = RATE * Math.max(adam, scale);
          for (const [name, w] of Object.entries(await valuesOf(variables))) {
            const largest = w.reduce((max, x, i) => Math.max(max, Math.abs(x - before[name]![i]!)), 0);
            requireAtMost(`the largest move in "${name}" at t = ${show(t)}`, largest, bound, 1e-5 * bound + 1e-6);
          }
        }
      } finally {
        await end(optimizer);
        dispose(variables);
      }
    },
  }),
];
