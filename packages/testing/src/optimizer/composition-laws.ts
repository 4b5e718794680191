import { dispose } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import {
  buildComposition,
  type Composition,
  compositions,
  partsOf,
  trainsSomething,
} from '../arbitraries/compositions.js';
import { type GradientStream, gradientStreams } from '../arbitraries/gradients.js';
import { type Law, optimizerLaw, require, requireFinite, requireSame } from '../law.js';
import {
  type Algebra,
  applyStep,
  composed,
  end,
  follow,
  gradientTensors,
  gradientValues,
  makeVariables,
  requireSamePath,
  type SavedTensor,
  startValues,
  type Values,
  valuesOf,
} from './fixture.js';

interface Example {
  readonly composition: Composition;
  readonly stream: GradientStream;
}

const examples = (algebra: Algebra): fc.Arbitrary<Example> =>
  fc
    .record({ composition: compositions(partsOf(algebra)), stream: gradientStreams({ parameters: 2, steps: 9 }) })
    .filter(({ composition, stream }) =>
      trainsSomething(composition, Math.min(...Object.values(stream.shapes).flat())),
    );

/** Laws of random nested compositions: they train, leave no trace and go on after saving. */
export const COMPOSITION_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'any composition works',
    formula: 'every expression of the algebra takes finite, repeatable steps and leaves gradients as they are',
    why: 'Closure is the promise: a split can stand wherever a rule can.',
    effort: 3,
    example: examples,
    check: async (algebra: Algebra, { composition, stream }) => {
      const run = (): Promise<Values[]> => follow(stream, composed(algebra, buildComposition(algebra, composition)));
      const first = await run();
      for (const values of first) for (const [name, x] of Object.entries(values)) requireFinite(`"${name}"`, x);
      requireSamePath('a second run', await run(), first);
    },
  }),
  optimizerLaw({
    name: 'gradients untouched, nothing leaks',
    formula:
      'gradients keep their values; after dispose() as many tensors live as before; no growth while nothing moves',
    why: 'tfjs does not collect garbage: what leaks per step ends the run.',
    effort: 2,
    example: examples,
    check: async (algebra: Algebra, { composition, stream }) => {
      const variables = makeVariables(stream, startValues(stream));
      const optimizer = composed(algebra, buildComposition(algebra, composition));
      for (let step = 0; step < stream.steps; step++) {
        const values = gradientValues(stream, step);
        const gradients = gradientTensors(stream, values);
        optimizer.applyGradients(gradients);
        for (const [name, g] of Object.entries(gradients)) {
          require(!g.isDisposed, () => `the gradient of "${name}" has been disposed`);
          requireSame(`the gradient of "${name}" after the step`, await g.data(), values[name]!);
        }
        dispose(gradients);
      }
      await end(optimizer);
      dispose(variables);
    },
  }),
  optimizerLaw({
    name: 'resume',
    formula:
      'state saved after any update, also in the middle of a refresh, and loaded into a new optimizer goes on bit for bit',
    why: 'A resumed run must be the run, also across the next refresh.',
    effort: 3,
    example: algebra => fc.tuple(examples(algebra), fc.nat({ max: 7 })).map(([example, at]) => ({ ...example, at })),
    check: async (algebra: Algebra, { composition, stream, at }) => {
      const cut = Math.min(at + 1, stream.steps - 1);
      const make = (): ReturnType<typeof composed> => composed(algebra, buildComposition(algebra, composition));
      const expected = await follow(stream, make());
      const variables = makeVariables(stream, startValues(stream));
      const first = make();
      for (let step = 0; step < cut; step++) applyStep(first, stream, gradientValues(stream, step));
      const saved: SavedTensor[] = (await first.getWeights()).map(({ name, tensor: x }) => ({
        name,
        tensor: x.clone(),
      }));
      await end(first);
      const second = make();
      await second.setWeights(saved);
      const found: Values[] = [];
      for (let step = cut; step < stream.steps; step++) {
        applyStep(second, stream, gradientValues(stream, step));
        found.push(await valuesOf(variables));
      }
      await end(second);
      dispose(variables);
      dispose(saved.map(({ tensor: x }) => x));
      requireSamePath(`resumed after ${cut} updates`, found, expected.slice(cut));
    },
  }),
];
