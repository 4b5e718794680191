import { sizeOf } from '@frugaljs/core';
import { type Law, optimizerLaw, require } from '../law.js';
import { show } from '../numerics/closeness.js';
import { type Algebra, COORDINATE, composed } from './algebra.js';
import { reductionExamples } from './reduction-examples.js';
import { follow, gradientValues, requireSamePath, startValues, type Values, withShapes } from './trajectory.js';

/** Reductions about who steps on what. */
export const PARTITION_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'blocks without a residual are BAdam',
    formula: 'blockwise, drop, reset: an optimizer for the active block alone, made anew at every switch',
    why: 'Inactive blocks must rest, keep no state and start afresh.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay, seed }) => {
      const names = ['w0', 'w1', 'w2', 'w3'];
      const shape = [3, 2];
      const blocks = withShapes(stream, Object.fromEntries(names.map(name => [name, shape])));
      const order = seed % 2 === 0 ? 'ascending' : 'descending';
      const use = algebra.subspace({
        projector: algebra.projectors.blockwise({ density: 0.25, order }),
        rule: algebra.rules.adamW(),
        refresh: { every },
      });
      const found = await follow(blocks, composed(algebra, use, { weightDecay, decayInactive: false }));
      let values = startValues(blocks);
      const expected: Values[] = [];
      for (let start = 0; start < blocks.steps; start += every) {
        const turn = (start / every) % 4;
        const active = names[order === 'ascending' ? turn : 3 - turn]!;
        const part = { ...withShapes(blocks, { [active]: shape }), steps: Math.min(every, blocks.steps - start) };
        const gradients = (step: number): Values => ({ [active]: gradientValues(blocks, start + step)[active]! });
        const before = values;
        const moved = await follow(part, composed(algebra, algebra.rules.adamW(), { weightDecay }), {
          gradients,
          start: before,
        });
        for (const step of moved) expected.push({ ...before, ...step });
        values = expected.at(-1)!;
      }
      requireSamePath(order, found, expected);
    },
  }),
  optimizerLaw({
    name: 'every entry is stepped on exactly once',
    formula: 'supports of the state-full and the state-free step are disjoint and cover everything, in every refresh',
    why: 'Overlap doubles a step, a gap leaves weights untrained.',
    example: reductionExamples,
    check: async (algebra: Algebra, { stream, density, every }) => {
      const ones = (value: number): Values =>
        Object.fromEntries(
          Object.entries(stream.shapes).map(([name, shape]) => [name, new Float32Array(sizeOf(shape)).fill(value)]),
        );
      const sign = algebra.rules.signSgd();
      for (const name of COORDINATE) {
        const run = (combine: ReturnType<Algebra['drop']>): Promise<Values[]> =>
          follow(
            stream,
            composed(
              algebra,
              algebra.subspace({
                projector: algebra.projectors[name]({ density }),
                rule: sign,
                combine,
                refresh: { every },
              }),
              {},
              1,
            ),
            { gradients: () => ones(1), start: ones(0) },
          );
        const inside = await run(algebra.drop());
        (await run(algebra.residual(sign))).forEach((values, step) => {
          for (const [parameter, x] of Object.entries(values)) {
            const at = x.findIndex(value => value !== -(step + 1));
            require(at < 0, () =>
              `${name}: entry ${at} of "${parameter}" has made ${show(-x[at]!)} steps of ${step + 1}`);
            const before = step === 0 ? new Float32Array(x.length) : inside[step - 1]![parameter]!;
            const part = inside[step]![parameter]!.every((value, i) => [0, -1].includes(value - before[i]!));
            require(part, () => `${name}: inside, an entry of "${parameter}" moves by neither 0 nor the rate`);
          }
        });
      }
    },
  }),
];
