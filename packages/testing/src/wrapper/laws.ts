import {
  describePart,
  type ExpressionRule,
  keepsAverage,
  type Rule,
  randomKey,
  randomNormals,
  randomUniform,
  sameShape,
  sizeOf,
  slotShape,
} from '@frugaljs/core';
import fc from 'fast-check';
import { CombineRun } from '../combine/fixture.js';
import {
  type Law,
  law,
  require,
  requireAtMost,
  requireClose,
  requireFinite,
  requireSame,
  survivesJson,
} from '../law.js';
import { maxAbs, norm, scaled } from '../numerics.js';
import { RuleRun } from '../rule/fixture.js';
import {
  CLOSE,
  inEverything,
  RULES,
  stepsOf,
  streamOf,
  TENSOR_MOMENTUM,
  underOtherNames,
  type WrapperFixture,
  wrapped,
  wrapperExamples,
} from './fixture.js';

const isAverage = ({ create, options }: WrapperFixture): boolean => {
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  return keepsAverage(create(RULES.gradient, drawn));
};

const unlessClaimed =
  (claim: keyof WrapperFixture['claims']) =>
  ({ claims }: WrapperFixture): string | null =>
    claims[claim] === undefined ? `no claim ${claim}` : null;

/** Every law of wrappers, in the order in which they are tried. */
export const WRAPPER_LAWS: readonly Law<WrapperFixture>[] = [
  law({
    name: 'state as declared',
    formula:
      'a step returns a direction and the next value of every slot of state(), of the declared shapes, all finite',
    why: 'Memory is planned and checkpoints are read by this declaration.',
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      const made = wrapped(fixture, RULES[rule], options);
      const specs = made.state(shape);
      for (const [t, { direction, slots, shapes }] of (await stepsOf(made, shape, streamOf(example))).entries()) {
        requireFinite(`the direction of step ${t + 1}`, direction);
        require(Object.keys(slots).sort().join() === Object.keys(specs).sort().join(), () =>
          `step ${t + 1} returns {${Object.keys(slots)}}, state() declares {${Object.keys(specs)}}`);
        for (const [name, { extent }] of Object.entries(specs)) {
          requireFinite(`slot ${name} of step ${t + 1}`, slots[name]!);
          const declared = slotShape(extent, shape);
          require(sameShape(shapes[name]!, declared), () =>
            `slot ${name} is [${shapes[name]}], declared [${declared}]`);
        }
      }
    },
  }),
  law({
    name: 'described by its options',
    formula: 'options survive JSON, hold the description of the rule, and make an equal rule',
    why: 'Configuration files and checkpoints hold nothing else.',
    example: wrapperExamples,
    check: (fixture: WrapperFixture, { rule, options }) => {
      const made = fixture.create(RULES[rule], options);
      const text = JSON.stringify(made.options);
      require(survivesJson(made.options), () => `options do not survive JSON, which makes them ${text}`);
      const inside = JSON.stringify(describePart(RULES[rule]));
      require(JSON.stringify(made.options['rule']) === inside, () =>
        `the options ${text} do not hold the rule, ${inside}, as \`rule\``);
      const again = JSON.stringify(fixture.create(RULES[rule], options).options);
      require(again === text, () => `made twice, the options are ${text} and ${again}`);
    },
  }),
  law({
    name: 'the state of the rule is kept',
    formula: 'the slots of the rule are there under their names, with the values they have without the wrapper',
    why: 'State saved without a wrapper is continued with one, and a rule never sees what is made of its direction.',
    needs: ['state as declared'],
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      const made = wrapped(fixture, RULES[rule], options);
      const [specs, bare] = [made.state(shape), RULES[rule].state(shape)];
      for (const [name, spec] of Object.entries(bare)) {
        require(JSON.stringify(specs[name]) === JSON.stringify(spec), () =>
          `slot ${name} is ${JSON.stringify(specs[name])}, that of the rule ${JSON.stringify(spec)}`);
      }
      const stream = streamOf(example);
      const expected = await stepsOf(RULES[rule], shape, stream);
      for (const [t, { slots }] of (await stepsOf(made, shape, stream)).entries()) {
        for (const [name, values] of Object.entries(expected[t]!.slots)) {
          requireSame(`slot ${name} of the rule after step ${t + 1}`, slots[name]!, values);
        }
      }
    },
  }),
  law({
    name: 'nothing in, nothing out',
    formula: 'd = 0 and G = 0 in every step ⟹ direction = 0',
    why: 'A parameter without a gradient must not move.',
    needs: ['state as declared'],
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, { shape, rule, options }) => {
      const zero = new Float32Array(sizeOf(shape));
      const steps = await stepsOf(wrapped(fixture, RULES[rule], options), shape, [zero, zero, zero]);
      steps.forEach(({ direction }, t) => {
        requireSame(`the direction of step ${t + 1}`, direction, zero);
      });
    },
  }),
  law({
    name: 'any finite direction',
    formula: 'the direction is finite for directions of every scale, from 2⁻⁷⁰ to 2⁷⁰ in one run',
    why: 'The first steps and dead units give such directions; a norm of squares overflows long before they do.',
    needs: ['state as declared'],
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, options, seed } = example;
      const stream = streamOf(example).map((g, t) => {
        const size = 2 ** [-70, 0, 70, 0, -70][(t + seed) % 5]!;
        return g.map((x, i) => ((i + seed) % 4 === 0 ? 0 : x * size));
      });
      const steps = await stepsOf(wrapped(fixture, RULES.gradient, options), shape, stream);
      steps.forEach(({ direction }, t) => {
        requireFinite(`the direction of step ${t + 1}`, direction);
      });
    },
  }),
  law({
    name: 'neutral element',
    formula: 'with neutral options the wrapped rule is the rule, to the last bit',
    why: 'What is switched off must cost nothing and change nothing.',
    needs: ['state as declared'],
    notApplicable: unlessClaimed('neutral'),
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      fc.pre(fixture.claims.neutral!(options));
      const stream = streamOf(example);
      const bare = await stepsOf(RULES[rule], shape, stream);
      (await stepsOf(wrapped(fixture, RULES[rule], options), shape, stream)).forEach(({ direction }, t) => {
        requireSame(`the direction of step ${t + 1}`, direction, bare[t]!.direction);
      });
    },
  }),
  law({
    name: 'odd',
    formula: '-G in every step ⟹ -direction, for a rule of which that holds',
    why: 'A wrapper that prefers a sign drifts.',
    needs: ['state as declared'],
    notApplicable: ({ claims }) => (claims.odd === false ? 'not with the claim odd: false' : null),
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      const made = wrapped(fixture, RULES[rule], options);
      const stream = streamOf(example);
      const mirrored = stream.map(g => g.map(x => -x));
      const straight = await stepsOf(made, shape, stream);
      (await stepsOf(made, shape, mirrored)).forEach(({ direction }, t) => {
        requireSame(`-d(-G) at step ${t + 1}`, scaled(direction, -1), straight[t]!.direction);
      });
    },
  }),
  law({
    name: 'the formula',
    formula: 'in every step the direction is that of the wrapper written down in plain numbers',
    why: 'The published formula is the definition; the order of its parts is checked against it.',
    needs: ['state as declared', 'the state of the rule is kept'],
    notApplicable: unlessClaimed('formula'),
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      const formula = fixture.claims.formula!(options, shape);
      const stream = streamOf(example, 8);
      const bare = await stepsOf(RULES[rule], shape, stream);
      (await stepsOf(wrapped(fixture, RULES[rule], options), shape, stream)).forEach(({ direction }, t) => {
        const expected = formula(bare[t]!.direction, stream[t]!, t + 1);
        const size = Math.max(maxAbs(expected), maxAbs(bare[t]!.direction));
        requireClose(`the direction of step ${t + 1}`, direction, expected, 8 * CLOSE * size);
      });
    },
  }),
  law({
    name: 'weights at rest are their average',
    formula: 'before the first step, and while G = 0 and nothing moves: average = W, through rules of every type',
    why: 'An average that starts from 0 publishes weights that are too small.',
    needs: ['state as declared'],
    notApplicable: fixture => (isAverage(fixture) ? null : 'it keeps no average of the weights'),
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, { shape, options, seed }) => {
      const weights = randomNormals(randomKey(seed, 'weights'), sizeOf(shape));
      const size = maxAbs(weights);
      for (const rule of [RULES.gradient, TENSOR_MOMENTUM]) {
        const run = new RuleRun(wrapped(fixture, rule, options), shape);
        for (let t = 0; t < 4; t++) {
          const average = await run.average(weights);
          require(average !== null, () => `around the rule ${rule.kind} it keeps no average`);
          requireClose(`the average after ${t} steps`, average!, weights, CLOSE * size);
          await run.step(new Float32Array(weights.length), weights);
        }
      }
    },
  }),
  law({
    name: 'growth is limited',
    formula: '‖d‖ ≤ limit · (‖d before‖ + ε) from the second step on, whatever the rule does',
    why: 'A limiter that compares with what it has cut off lets a spike through in the second step.',
    needs: ['state as declared'],
    notApplicable: unlessClaimed('limit'),
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options, seed } = example;
      const limit = fixture.claims.limit!(options);
      fc.pre(limit !== null);
      const sizes = randomKey(seed, 'sizes');
      const stream = streamOf(example, 8).map((g, t) => {
        const size = 2 ** Math.round(16 * randomUniform(sizes, t) - 8);
        return g.map(x => x * size);
      });
      let before = Number.POSITIVE_INFINITY;
      (await stepsOf(wrapped(fixture, RULES[rule], options), shape, stream)).forEach(({ direction }, t) => {
        const most = limit!.factor * (before + limit!.epsilon);
        requireAtMost(`‖d‖ at step ${t + 1}`, norm(direction), most, CLOSE * most);
        before = norm(direction);
      });
    },
  }),
  law({
    name: 'closed under nesting',
    formula: 'wrap(wrap(rule)) has the slots of both and of the rule, and steps as around a rule with other names',
    why: 'A wrapped rule is a rule; two that share a slot overwrite each other.',
    needs: ['state as declared', 'the state of the rule is kept'],
    notApplicable: fixture =>
      isAverage(fixture) ? 'it keeps an average of the weights, and there is one at a time' : null,
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      const once = wrapped(fixture, RULES[rule], options);
      const twice = wrapped(fixture, once, options);
      const apart = wrapped(fixture, underOtherNames(once as ExpressionRule), options);
      const [names, expected] = [Object.keys(twice.state(shape)), Object.keys(apart.state(shape))];
      require(names.length === expected.length, () =>
        `nested, the slots are {${names}}; with other names inside they are {${expected}}`);
      const stream = streamOf(example);
      const steps = await stepsOf(apart, shape, stream);
      (await stepsOf(twice, shape, stream)).forEach(({ direction }, t) => {
        requireSame(`the direction of step ${t + 1}`, direction, steps[t]!.direction);
      });
    },
  }),
  law({
    name: 'around a subspace as around its rule',
    formula: 'in a subspace of everything: wrap(subspace(rule)) steps as wrap(rule)',
    why: 'Around a subspace a wrapper sees the direction after the combine; one that goes inside works on another one.',
    needs: ['state as declared'],
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, rule, options } = example;
      const within = inEverything(RULES[rule]);
      const made: Rule = fixture.create(within, options);
      require(made.type === 'subspace', () => `around a subspace it makes a rule of type ${made.type}`);
      if (made.type !== 'subspace') return;
      require(made.rule === within.rule && made.wrapped !== undefined, () =>
        made.rule === within.rule ? 'a subspace around which nothing is' : 'it changes the rule inside the subspace');
      const stream = streamOf(example);
      const bare = await stepsOf(RULES[rule], shape, stream);
      const combine = new CombineRun(made.combine, shape);
      for (const [t, { direction }] of (
        await stepsOf(wrapped(fixture, RULES[rule], options), shape, stream)
      ).entries()) {
        const found = await combine.apply({ g: stream[t]!, lifted: bare[t]!.direction });
        requireSame(`the direction of step ${t + 1}`, found, direction);
      }
    },
  }),
  law({
    name: 'around tensor operations as around expressions',
    formula: 'momentum in tfjs operations, wrapped, steps as momentum written as an expression, wrapped',
    why: 'Rules that need matrix algebra, such as Muon, are not expressions; a wrapper must take them too.',
    needs: ['state as declared'],
    example: wrapperExamples,
    check: async (fixture: WrapperFixture, example) => {
      const { shape, options } = example;
      const stream = streamOf(example);
      const expected = await stepsOf(wrapped(fixture, RULES.momentum, options), shape, stream);
      const run = new RuleRun(wrapped(fixture, TENSOR_MOMENTUM, options), shape);
      for (const [t, { direction, slots }] of expected.entries()) {
        const step = await run.step(stream[t]!);
        requireClose(`the direction of step ${t + 1}`, step.direction, direction, CLOSE * maxAbs(direction));
        const [names, declared] = [Object.keys(step.slots).sort(), Object.keys(slots).sort()];
        require(names.join() === declared.join(), () => `its slots are {${names}}, expected {${declared}}`);
      }
    },
  }),
];
