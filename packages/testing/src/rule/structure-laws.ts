import { sameShape, slotShape } from '@frugaljs/core';
import { memory, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, optionsToRemake, require, requireFinite, requireSame, show } from '../law.js';
import { copiesOf, directionsOf, free, prepared, type RuleFixture, RuleRun, ruleExamples } from './fixture.js';

/** Laws of what a rule takes and gives. */
export const RULE_STRUCTURE_LAWS: readonly Law<RuleFixture>[] = [
  law({
    name: 'state as declared',
    formula: 'step returns a direction of the shape of G and, for every slot of state(), a tensor of its extent',
    why: 'Memory is planned and checkpoints are read by this declaration.',
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const run = new RuleRun(rule, shape);
      const { shapes } = await run.step(stream[0]!);
      const declared = ['direction', ...Object.keys(run.specs)].sort();
      const found = Object.keys(shapes).sort();
      require(found.join() === declared.join(), () => `step returns {${found}}, expected {${declared}}`);
      require(sameShape(shapes['direction']!, shape), () =>
        `the direction is [${shapes['direction']}], G is [${shape}]`);
      for (const [name, { extent }] of Object.entries(run.specs)) {
        const expected = slotShape(extent, shape);
        require(sameShape(shapes[name]!, expected), () =>
          `slot ${name} is [${shapes[name]}], declared is [${expected}]`);
      }
    },
  }),
  law({
    name: 'inputs untouched',
    formula: 'step neither changes nor disposes the gradient and the state it is given, nor returns them',
    why: 'The gradient goes on to the residual and to clipping; the old state is the optimizer’s to free.',
    needs: ['state as declared'],
    notApplicable: ({ create, options }) =>
      create(fc.sample(options, { seed: 1, numRuns: 1 })[0]).type === 'expression'
        ? 'an expression cannot reach its inputs'
        : null,
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const run = new RuleRun(rule, shape);
      await run.step(stream[0]!);
      const { inputs, scalars } = run.arguments(stream[0]!);
      const before = await copiesOf(inputs);
      const outputs = Object.entries(run.call(inputs, scalars));
      for (const [name, x] of Object.entries(inputs)) {
        const as = outputs.find(([, result]) => result === x)?.[0];
        require(as === undefined, () => `${name} that was passed in is returned itself as ${as}; return a clone`);
        require(!x.isDisposed, () => `${name} has been disposed`);
        requireSame(`${name} after the step`, await x.data(), before[name]!);
      }
    },
  }),
  law({
    name: 'no leaks',
    formula: 'tensors after a step = tensors before it + tensors returned',
    why: 'One leaked tensor per step fills the memory of a device within a training run.',
    needs: ['state as declared', 'inputs untouched'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const run = new RuleRun(rule, shape);
      const { inputs, scalars } = run.arguments(stream[0]!);
      const { numTensors } = memory();
      const outputs: Record<string, Tensor> = run.call(inputs, scalars);
      const made = memory().numTensors - numTensors;
      const returned = Object.keys(outputs).length;
      require(made === returned, () => `a step leaves ${made} tensors behind and returns ${returned}`);
      free(outputs);
    },
  }),
  law({
    name: 'deterministic',
    formula:
      'the same gradients give the same directions, bit for bit, also in a rule made again from its JSON options',
    why: 'All state must be in the declared slots: what hides in a closure is lost in a checkpoint and shared by parameters.',
    needs: ['state as declared'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const first = await directionsOf(rule, shape, stream);
      const second = await directionsOf(rule, shape, stream);
      first.forEach((d, t) => {
        requireSame(`direction ${t + 1} of a second run`, second[t]!, d);
      });
      const options = optionsToRemake(example.options, rule.options);
      const again = await directionsOf(fixture.create(options), shape, stream);
      first.forEach((d, t) => {
        requireSame(`direction ${t + 1} of a rule made again from ${JSON.stringify(options)}`, again[t]!, d);
      });
    },
  }),
  law({
    name: 'resumes',
    formula: 'slots and t saved after any step, loaded into a new rule, continue the same directions bit for bit',
    why: 'A resumed run must be the run.',
    needs: ['deterministic'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      fc.pre(stream.length > 1);
      const half = Math.floor(stream.length / 2);
      const run = new RuleRun(rule, shape);
      let slots: Readonly<Record<string, Float32Array>> = {};
      const expected: Float32Array[] = [];
      for (const [t, g] of stream.entries()) {
        const step = await run.step(g);
        if (t + 1 === half) slots = step.slots;
        expected.push(step.direction);
      }
      const resumed = new RuleRun(fixture.create(example.options), shape);
      resumed.resume(slots, half);
      for (let t = half; t < stream.length; t++) {
        requireSame(
          `direction ${t + 1} after resuming at ${half}`,
          (await resumed.step(stream[t]!)).direction,
          expected[t]!,
        );
      }
    },
  }),
  law({
    name: 'any finite gradient',
    formula:
      'd and the state are finite for zero, sparse, low-rank, ill-conditioned and heavy-tailed G from 2⁻²⁰ to 2²⁰',
    why: 'Such gradients occur in every training run; one NaN ends it.',
    needs: ['state as declared'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const run = new RuleRun(rule, shape);
      for (const [t, g] of stream.entries()) {
        const { direction, slots } = await run.step(g);
        requireFinite(`direction ${t + 1}`, direction);
        for (const [name, values] of Object.entries(slots)) requireFinite(`slot ${name} after step ${t + 1}`, values);
      }
    },
  }),
  law({
    name: 'NaN is not hidden',
    formula: 'Gᵢ = NaN ⟹ dᵢ = NaN',
    why: 'Some kernels map NaN to 0 in a sign; a broken loss would train on unnoticed.',
    needs: ['state as declared'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const broken = Float32Array.from(stream[0]!);
      broken[0] = Number.NaN;
      const { direction } = await new RuleRun(rule, shape).step(broken);
      require(Number.isNaN(direction[0]), () =>
        `the direction of an entry with gradient NaN is ${show(direction[0]!)}`);
    },
  }),
];
