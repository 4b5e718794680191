import { constant, matrixView, type Projector, type Refresh, type Rule, randomKey } from '@frugaljs/core';
import { dispose } from '@tensorflow/tfjs-core';
import type { GradientStream } from '../arbitraries/gradients.js';
import { type Law, optimizerLaw, require, requireAtMost, requireSame, show } from '../law.js';
import { orthonormalRows } from '../numerics.js';
import {
  type Algebra,
  applyStep,
  composed,
  end,
  follow,
  gradientValues,
  makeVariables,
  only,
  RATE,
  requireSamePath,
  scheduleExamples,
  startValues,
  type Values,
  valuesOf,
  withShapes,
} from './fixture.js';

/**
 * Laws of what happens in which update: refreshes, resets and decay, also of published algorithms written down a second
 * time without tensors; and what gradients do where there is none, and however large they are.
 */
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
    name: 'a constant density is the density',
    formula: 'varying(P, constant(ρ)) = P(ρ), bit for bit',
    why: 'A schedule that does not change may change nothing: neither the subspace nor the state at a refresh.',
    notApplicable: ({ projectors }: Algebra) => (projectors.varying === undefined ? 'no projector varying' : null),
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { rows, svd, varying } = algebra.projectors;
      const density = [0.5, 0.75][seed % 2]!;
      const path = (projector: Projector) =>
        follow(stream, composed(algebra, keepingSubspace(algebra, projector, { every })));
      for (const make of [rows, svd]) {
        const plain = await path(make({ density }));
        requireSamePath('varying', await path(varying!(share => make({ density: share }), constant(density))), plain);
      }
    },
  }),
  optimizerLaw({
    name: 'an event that never happens',
    formula: 'refresh { every, when: what never shows } = refresh { every }, bit for bit',
    why: 'Looking may not change what is looked at.',
    notApplicable: noEvents,
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every }) => {
      const { similarity, energy } = algebra.events!;
      const never = [similarity({ atLeast: 1, last: 100 }), energy({ below: 0, check: 1, least: 1 })];
      const path = (refresh: Refresh) =>
        follow(stream, composed(algebra, keepingSubspace(algebra, algebra.projectors.svd({ density: 0.5 }), refresh)));
      const plain = await path({ every });
      for (const when of never) requireSamePath(when.measure, await path({ every, when }), plain);
    },
  }),
  optimizerLaw({
    name: 'intervals double while bases are alike',
    formula:
      'G the same in every update, last = k: fits in updates 0, T, …, kT, then after 2T, 4T, 8T …; none doubles for |cos| below the threshold',
    why: 'Decompositions are the cost of GaLore; those of a subspace that stays are saved (Q-GaLore, arXiv 2407.08296).',
    notApplicable: noEvents,
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { one, m, n } = only(stream);
      const last = 1 + (seed % 3);
      const when = algebra.events!.similarity({ atLeast: 0.5, last });
      const steps = (last + 14) * every;
      const alike = [...Array(last).keys()].map(i => i * every);
      for (let [at, interval] = [last * every, 2 * every]; at < steps; at += interval, interval *= 2) alike.push(at);
      const turning = [...Array(last + 14).keys()].map(i => i * every);
      const held = { ...one, steps };
      const flips = (step: number): number => (Math.floor(step / every) % 2 === 0 ? 1 : -1);
      await requireFits(algebra, held, { every, when }, step => unitAt(m, n, 0, flips(step)), alike, 'bases alike');
      await requireFits(
        algebra,
        held,
        { every, when },
        step => unitAt(m, n, Math.floor(step / every)),
        turning,
        'bases that turn',
      );
    },
  }),
  optimizerLaw({
    name: 'a gradient that leaves the subspace',
    formula:
      '‖ΠG‖² / ‖G‖² below the threshold, in an update s, s + c, s + 2c … after a refresh: the subspace is chosen anew; else at 0, T, 2T …',
    why: 'A subspace that misses the gradient trains nothing until its next turn, which may be far away.',
    notApplicable: noEvents,
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { one, m, n } = only(stream);
      const [check, least, leaves] = [every, 1 + (seed % 4), 3 + (seed % 5)];
      const when = algebra.events!.energy({ below: 0.5, check, least });
      const held = { ...one, steps: 30 };
      let found = least;
      while (found < leaves) found += check;
      const refresh = { every: 60, when };
      await requireFits(
        algebra,
        held,
        refresh,
        step => unitAt(m, n, step < leaves ? 0 : 1),
        [0, found],
        'one that leaves',
      );
      await requireFits(algebra, held, refresh, () => unitAt(m, n, 0), [0], 'one that stays');
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
  optimizerLaw({
    name: 'FRUGAL Algorithm 4 in plain numbers',
    formula:
      'AdamW on the chosen rows and sign on the others, reset every T: m = v = t = 0 at every refresh; decay before',
    why: 'It is what the code of the FRUGAL paper (arXiv 2411.07837) does, written down a second time without tensors.',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, weightDecay, seed }) => {
      const { one, m, n } = only(stream);
      const chosen = (refreshIndex: number): number[] => [(seed + refreshIndex) % m];
      const use = algebra.subspace({
        projector: algebra.projectors.given({ kind: 'rows', indices: (_, refreshIndex) => chosen(refreshIndex) }),
        rule: algebra.rules.adamW(),
        combine: algebra.residual(algebra.rules.signSgd(), { scale: 0.5 }),
        refresh: { every },
        onRefresh: 'reset',
      });
      const found = await follow(one, composed(algebra, use, { weightDecay, lrScale: 2 }));
      const w = Float64Array.from(startValues(one)['a']!);
      let [first, second] = [new Float64Array(m * n), new Float64Array(m * n)];
      const expected = Array.from({ length: one.steps }, (_, step): Values => {
        const g = gradientValues(one, step)['a']!;
        const refreshIndex = Math.floor(step / every);
        if (step % every === 0) [first, second] = [new Float64Array(m * n), new Float64Array(m * n)];
        const t = (step % every) + 1;
        for (let i = 0; i < m * n; i++) {
          w[i]! *= 1 - RATE * weightDecay;
          if (chosen(refreshIndex).includes(Math.floor(i / n))) {
            first[i] = 0.9 * first[i]! + 0.1 * g[i]!;
            second[i] = 0.999 * second[i]! + 0.001 * g[i]! ** 2;
            const root = Math.sqrt(second[i]! / (1 - 0.999 ** t)) + 1e-8;
            w[i]! -= 2 * RATE * (first[i]! / (1 - 0.9 ** t) / root);
          } else {
            w[i]! -= 2 * RATE * 0.5 * Math.sign(g[i]!);
          }
        }
        return { a: Float32Array.from(w) };
      });
      requireSamePath('rows', found, expected, 5e-6);
    },
  }),
  optimizerLaw({
    name: 'GaLore in plain numbers',
    formula: 'dense basis, no residual, keep: m, v and t stay in place while the basis moves; W ← W - ηα P N',
    why: 'With onRefresh keep nothing may be reset or carried over (Zhao et al., GaLore, arXiv 2403.03507, Algorithm 2).',
    example: scheduleExamples,
    check: async (algebra: Algebra, { stream, every, seed }) => {
      const { one, m, n } = only(stream);
      const r = Math.max(1, n - 1);
      const at = (refreshIndex: number): Float64Array[] => orthonormalRows(r, n, randomKey(seed, refreshIndex));
      const projector = algebra.projectors.given({
        kind: 'right',
        basis: (_, refreshIndex) => Array.from({ length: n }, (_row, j) => at(refreshIndex).map(column => column[j]!)),
      });
      // A large ε keeps Adam from magnifying rounding errors of projected entries near 0.
      const use = algebra.subspace({
        projector,
        rule: algebra.rules.adamW({ epsilon: 1e-3 }),
        combine: algebra.drop(),
        refresh: { every },
        onRefresh: 'keep',
      });
      const found = await follow(one, composed(algebra, use, { lrScale: 0.25 }));
      const w = Float64Array.from(startValues(one)['a']!);
      const [first, second] = [new Float64Array(m * r), new Float64Array(m * r)];
      const expected = Array.from({ length: one.steps }, (_, step): Values => {
        const g = gradientValues(one, step)['a']!;
        const columns = at(Math.floor(step / every));
        for (let i = 0; i < m; i++) {
          columns.forEach((column, k) => {
            const low = column.reduce((sum, x, j) => sum + x * g[i * n + j]!, 0);
            const at = i * r + k;
            first[at] = 0.9 * first[at]! + 0.1 * low;
            second[at] = 0.999 * second[at]! + 0.001 * low ** 2;
            const d =
              first[at]! / (1 - 0.9 ** (step + 1)) / (Math.sqrt(second[at]! / (1 - 0.999 ** (step + 1))) + 1e-3);
            for (let j = 0; j < n; j++) w[i * n + j]! -= RATE * 0.25 * d * column[j]!;
          });
        }
        return { a: Float32Array.from(w) };
      });
      requireSamePath('moving basis', found, expected, 2e-5);
    },
  }),
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
      const given = (i: number): Values => ({ a: gradientValues(two, steps[i]!)['a']! });
      const closed = await follow(dense, composed(algebra, algebra.rules.adamW()), {
        gradients: given,
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

function noEvents({ events }: Algebra): string | null {
  return events === undefined ? 'no events' : null;
}

function keepingSubspace(algebra: Algebra, projector: Projector, refresh: Refresh): Rule {
  const combine = algebra.residual(algebra.rules.signSgd());
  return algebra.subspace({ projector, rule: algebra.rules.adamW(), combine, refresh, onRefresh: 'keep' });
}

/** A gradient of rank 1, whose singular vectors are axes: others for another `turn`. Of two rows and columns at least. */
function unitAt(m: number, n: number, turn: number, value = 1): Float32Array {
  const g = new Float32Array(m * n);
  g[(turn % m) * n + (turn % n)] = value;
  return g;
}

/** Requires a subspace of rank 1 to be fitted in these updates, with refreshes 0, 1, 2 …, and in no other. */
async function requireFits(
  algebra: Algebra,
  stream: GradientStream,
  refresh: Refresh,
  gradientOf: (step: number) => Float32Array,
  expected: readonly number[],
  what: string,
): Promise<void> {
  const found: string[] = [];
  let update = 0;
  const [smaller] = [...stream.shapes['a']!].sort((a, b) => a - b) as [number];
  const inner = algebra.projectors.svd({ density: 1 / smaller });
  const projector: Projector = {
    ...inner,
    fit: (g, previous, context) => {
      found.push(`${update} (refresh ${context.refreshIndex})`);
      return inner.fit(g, previous, context);
    },
  };
  const variables = makeVariables(stream, startValues(stream));
  const optimizer = composed(algebra, keepingSubspace(algebra, projector, refresh));
  try {
    for (; update < stream.steps; update++) applyStep(optimizer, stream, { a: gradientOf(update) });
  } finally {
    await end(optimizer);
    dispose(variables);
  }
  const wanted = expected.map((at, refreshIndex) => `${at} (refresh ${refreshIndex})`);
  require(found.join() === wanted.join(), () =>
    `${what}: fitted in updates ${found.join(', ')}, expected ${wanted.join(', ')}`);
}
