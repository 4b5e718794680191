import { type Basis, type Projector, sameShape, sizeOf } from '@frugaljs/core';
import { mul, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { type Law, law, require } from '../law.js';
import { requireClose, requireSame, rounding, scaleOf, show } from '../numerics/closeness.js';
import { optionsToRemake, survivesJson } from '../options-to-remake.js';
import { fitted, type ProjectorSubject, projectorExamples } from './subject.js';
import { normalTensor, numbers } from './tensor-numbers.js';

/** Laws of what goes on: after loading, and from one subspace to the next. */
export const CONTINUITY_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'restored from the checkpoint',
    formula: 'a projector made again from its JSON options, with its saved or re-derived basis, gives the same numbers',
    why: 'A resumed run must go on in the same subspace, bit for bit.',
    needs: ['shapes as declared', 'same seed, same basis'],
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex, reduced, basis, g } = fitted(subject, example);
      require(survivesJson(projector.options), () =>
        `options do not survive JSON, which makes them ${JSON.stringify(projector.options)}`);
      const again = subject.create(optionsToRemake(example.options, projector.options), site);
      const options = JSON.stringify(again.options);
      require(options === JSON.stringify(projector.options), () =>
        `made again from ${JSON.stringify(projector.options)} the options are ${options}`);
      const shape = again.reducedShape(site, refreshIndex);
      require(shape !== null && sameShape(shape, reduced), () =>
        `made from ${JSON.stringify(example.options)}, again from ${options}: down(G) is [${reduced}], then [${shape}]`);
      const saved = await savedBasis(again, basis, { site, refreshIndex });
      const x = normalTensor(reduced, example.seed, 'x');
      requireSame(
        'down(G) after loading',
        await numbers(again.down(g, saved, site)),
        await numbers(projector.down(g, basis, site)),
      );
      requireSame(
        'up(X) after loading',
        await numbers(again.up(x, saved, site)),
        await numbers(projector.up(x, basis, site)),
      );
    },
  }),
  law({
    name: 'transport',
    formula:
      'to the same subspace: no change; to another, degree 1: down_to(up_from(X)); degree 2 keeps X ≥ 0 non-negative',
    why: 'Momentum must follow the subspace, and second moments must not become negative on the way.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    lifted: ({ transports }) => (transports ? null : 'the projector has no transport of its own'),
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const all = fitted(subject, example);
      const { projector, site, refreshIndex, reduced, basis } = all;
      const transport = projector.transport!.bind(projector);
      const x = normalTensor(reduced, example.seed, 'x');
      const tolerance = 4 * rounding(Math.max(...site.shape)) * scaleOf(await numbers(x));
      for (const degree of [1, 2] as const) {
        const stayed = transport(x, basis, basis, site, degree);
        requireClose(
          `transport of degree ${degree} to the same basis`,
          await numbers(stayed),
          await numbers(x),
          tolerance,
        );
      }
      const next = projector.fit(normalTensor(site.shape, example.seed, 'next'), null, {
        site,
        refreshIndex: refreshIndex + 1,
      });
      const there = await numbers(projector.down(projector.up(x, basis, site), next, site));
      requireClose('transport of degree 1', await numbers(transport(x, basis, next, site, 1)), there, tolerance);
      const squares = mul(x, x);
      const least = Math.min(...(await numbers(transport(squares, basis, next, site, 2))));
      require(least >= 0, () => `transport of degree 2 turns squares into ${show(least)}`);
    },
  }),
];

/** A basis as it comes back: from saved numbers when it is fitted to a gradient, else derived again. */
async function savedBasis(
  projector: Projector,
  basis: Basis,
  context: Parameters<Projector['fit']>[2],
): Promise<Basis> {
  if (projector.traits.basisFrom !== 'gradient') return projector.fit(null, null, context);
  const restored: Record<string, Tensor> = {};
  for (const [name, { shape, dtype }] of Object.entries(projector.basis(context.site))) {
    const values = Array.from(await numbers(basis[name]!));
    require(values.length === sizeOf(shape), () =>
      `basis.${name} has ${values.length} numbers, its spec ${sizeOf(shape)}`);
    restored[name] = tensor(values, [...shape], dtype);
  }
  return restored;
}
