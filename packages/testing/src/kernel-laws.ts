import type { Rule } from '@frugaljs/core';
import { dispose, memory } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import {
  buildComposition,
  type Composition,
  compositions,
  RULES,
  takesSignOfNoise,
  trainsSomething,
} from './arbitraries/compositions.js';
import { type GradientStream, gradientStreams } from './arbitraries/gradients.js';
import { type Law, optimizerLaw, require, requireSame } from './law.js';
import {
  type Algebra,
  applyStep,
  COORDINATE,
  composed,
  DENSE,
  end,
  follow,
  type GroupSettings,
  gradientTensors,
  gradientValues,
  makeVariables,
  requireSamePath,
  startValues,
} from './optimizer/fixture.js';
import type { RunOptions } from './run.js';

/** Two ways to run the same compositions. */
export interface KernelFixture {
  /** Composes with the reference interpreter. */
  readonly reference: Algebra;
  /** Composes with the kernels under test. */
  readonly fused: Algebra;
  /** More rules to try on whole parameters, by name. */
  readonly rules: Readonly<Record<string, () => Rule>>;
}

export interface KernelLawOptions extends RunOptions {
  /** How reports call it. Default `kernels`. */
  readonly name?: string;
  /** Rules to try on whole parameters besides those of the algebra. */
  readonly rules?: Readonly<Record<string, () => Rule>>;
}

interface Example {
  readonly composition: Composition;
  readonly stream: GradientStream;
  readonly settings: GroupSettings;
}

const settings: Arbitrary<GroupSettings> = fc.record({
  weightDecay: fc.constantFrom(0, 0.1),
  decay: fc.constantFrom('before' as const, 'after' as const),
  lrScale: fc.constantFrom(1, 0.5),
});

// Dimensions up to 17 cover what is left over after whole SIMD lanes of 4 and 16.
const examples = ({ reference }: KernelFixture, dense: boolean): Arbitrary<Example> =>
  fc
    .record({
      composition: compositions({
        projectors: dense ? DENSE : COORDINATE,
        rules: reference.rules.foam === undefined ? RULES : [...RULES, 'foam'],
      }),
      stream: gradientStreams({ largest: 17 }),
      settings,
    })
    .filter(({ composition, stream }) => {
      const axes = Object.values(stream.shapes).flatMap(shape => (shape.length === 0 ? [1] : shape));
      return !takesSignOfNoise(composition) && trainsSomething(composition, Math.min(...axes));
    });

/** Every law of fused kernels. */
export const KERNEL_LAWS: readonly Law<KernelFixture>[] = [
  optimizerLaw({
    name: 'same steps on whole parameters',
    formula: 'every rule, on 0 to 3 axes of any size: fused = reference, up to float32 rounding',
    why: 'One definition runs on many machines only if all machines agree.',
    effort: 4,
    example: ({ reference, rules }) =>
      fc.record({
        rule: fc.constantFrom(...Object.keys(reference.rules), ...Object.keys(rules)),
        shape: fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 3 }),
        stream: gradientStreams({ parameters: 1 }),
        settings,
      }),
    check: async ({ reference, fused, rules }: KernelFixture, { rule, shape, stream, settings: group }) => {
      const one = { ...stream, shapes: { a: shape } };
      const ruleOf = (algebra: Algebra): Rule => rules[rule]?.() ?? algebra.rules[rule as keyof Algebra['rules']]!();
      const expected = await follow(one, composed(reference, ruleOf(reference), group));
      requireSamePath(rule, await follow(one, composed(fused, ruleOf(fused), group)), expected, 1e-5);
    },
  }),
  optimizerLaw({
    name: 'same steps in coordinate splits',
    formula: 'nested splits along coordinates: fused = reference, up to float32 rounding',
    why: 'Every entry must meet its own rule and its own state, in one pass.',
    effort: 4,
    example: fixture => examples(fixture, false),
    check: sameSteps(5e-6),
  }),
  optimizerLaw({
    name: 'same steps with dense projectors',
    formula: 'splits by dense subspaces: fused = reference, up to float32 rounding of the matrix products',
    why: 'down, rule, up and the epilogue are put together in another way than in the reference.',
    effort: 2,
    example: fixture => examples(fixture, true),
    check: sameSteps(1e-3),
  }),
  optimizerLaw({
    name: 'writes nothing but its own',
    formula: 'gradients and every tensor that shares a buffer with a parameter keep their values',
    why: 'In-place kernels must copy first where somebody else holds the buffer.',
    example: fixture => examples(fixture, false),
    check: async ({ fused }: KernelFixture, { composition, stream }) => {
      const variables = makeVariables(stream, startValues(stream));
      const optimizer = composed(fused, buildComposition(fused, composition));
      for (let step = 0; step < stream.steps; step++) {
        const held = variables.map(v => v.clone());
        const before = await Promise.all(held.map(async x => (await x.data()).slice()));
        const values = gradientValues(stream, step);
        const gradients = gradientTensors(stream, values);
        optimizer.applyGradients(gradients);
        for (const [name, g] of Object.entries(gradients)) {
          requireSame(`the gradient of "${name}"`, await g.data(), values[name]!);
        }
        for (const [i, x] of held.entries()) {
          requireSame(`a clone of "${variables[i]!.name}" taken before step ${step + 1}`, await x.data(), before[i]!);
        }
        dispose([held, gradients]);
      }
      await end(optimizer);
      dispose(variables);
    },
  }),
  optimizerLaw({
    name: 'memory settles',
    formula: 'bytes and tensors do not grow from one step to the next within a refresh',
    why: 'Kernels that keep scratch buffers per step exhaust a heap that never shrinks.',
    example: fixture => examples(fixture, false),
    check: async ({ fused }: KernelFixture, { composition, stream }) => {
      const variables = makeVariables(stream, startValues(stream));
      // One refresh only: a refresh may change what state there is.
      const optimizer = composed(fused, buildComposition(fused, unmoving(composition)));
      let settled = { numTensors: 0, numBytes: 0 };
      for (let step = 0; step < 5; step++) {
        applyStep(optimizer, stream, gradientValues(stream, step));
        await optimizer.settled?.();
        const { numTensors, numBytes } = memory();
        if (step >= 2) {
          const { numTensors: tensors, numBytes: bytes } = settled;
          require(numTensors === tensors && numBytes === bytes, () =>
            `step ${step + 1} ends with ${numTensors} tensors of ${numBytes} bytes, the one before with ${tensors} of ${bytes}`);
        }
        settled = { numTensors, numBytes };
      }
      await end(optimizer);
      dispose(variables);
    },
  }),
];

function sameSteps(tolerance: number): (fixture: KernelFixture, example: Example) => Promise<void> {
  return async ({ reference, fused }, { composition, stream, settings: group }) => {
    const expected = await follow(stream, composed(reference, buildComposition(reference, composition), group));
    const found = await follow(stream, composed(fused, buildComposition(fused, composition), group));
    requireSamePath('fused', found, expected, tolerance);
  };
}

/** The composition without refreshes. */
function unmoving(composition: Composition): Composition {
  if ('rule' in composition) return composition;
  const { inside, outside } = composition;
  return {
    ...composition,
    every: 1000,
    inside: unmoving(inside),
    outside: outside === null ? null : unmoving(outside),
  };
}
