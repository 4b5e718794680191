import { matrixView, sizeOf } from '@frugaljs/core';
import { add, mul, reshape, sub, type Tensor, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, require, requireAtMost, requireClose, requireSame, rounding, scaleOf, show } from '../law.js';
import { dot, norm } from '../numerics.js';
import {
  type Fitted,
  fitted,
  normalTensor,
  notOrthonormal,
  numbers,
  type ProjectorFixture,
  projectOnto,
  projectorExamples,
  upMayBeAnother,
} from './fixture.js';

/** Laws of down, up and Π = up ∘ down as linear maps. */
export const LINEAR_LAWS: readonly Law<ProjectorFixture>[] = [
  law({
    name: 'linearity',
    formula: 'down(aG + bH) = a down(G) + b down(H), and likewise up',
    why: 'Accumulated and averaged gradients must give the accumulated and averaged result; momentum is a sum of them.',
    needs: ['shapes as declared'],
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, basis, site, reduced } = all;
      const [a, b] = [0.5, -3];
      const checkMap = async (name: string, map: (x: Tensor) => Tensor, x: Tensor, y: Tensor): Promise<void> => {
        const [ofX, ofY] = [map(x), map(y)];
        const expected = await numbers(add(mul(ofX, a), mul(ofY, b)));
        const found = await numbers(map(add(mul(x, a), mul(y, b))));
        const sizes = await Promise.all([x, y, ofX, ofY].map(numbers));
        requireClose(`${name}(½G - 3H)`, found, expected, 4 * error(all) * scaleOf(...sizes));
      };
      const scale = 2 ** example.matrix.exponent;
      const h = mul(normalTensor(site.shape, example.seed, 'h'), scale);
      await checkMap('down', x => projector.down(x, basis, site), all.g, h);
      const [x, y] = [normalTensor(reduced, example.seed, 'x'), normalTensor(reduced, example.seed, 'y')];
      await checkMap('up', z => projector.up(z, basis, site), x, y);
    },
  }),
  law({
    name: 'down ∘ up = id',
    formula: 'down(up(X)) = X',
    why: 'up must be the right inverse of down, or a step in the subspace is scaled, rotated or counted twice.',
    needs: ['shapes as declared'],
    notApplicable: notOrthonormal,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, basis, site, reduced } = all;
      const x = normalTensor(reduced, example.seed, 'x');
      const back = projector.down(projector.up(x, basis, site), basis, site);
      requireClose('down(up(X))', await numbers(back), await numbers(x), error(all) * scaleOf(await numbers(x)));
    },
  }),
  law({
    name: 'Π² = Π',
    formula: 'up(down(up(down(G)))) = up(down(G))',
    why: 'What is in the subspace must stay in it, so that the residual of the residual is the residual.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: notOrthonormal,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const once = projectOnto(all, all.g);
      const twice = projectOnto(all, once);
      requireClose('Π(ΠG)', await numbers(twice), await numbers(once), error(all) * scaleOf(all.values));
    },
  }),
  law({
    name: 'up is the adjoint of down',
    formula: '‹up(X), G› = ‹X, down(G)›',
    why: 'Only then is the step in the subspace the gradient of the loss along it.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: upMayBeAnother,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, basis, site, reduced, g, values } = all;
      const x = normalTensor(reduced, example.seed, 'x');
      const [low, high] = [await numbers(x), await numbers(projector.up(x, basis, site))];
      const down = await numbers(projector.down(g, basis, site));
      // A sketch makes some numbers longer.
      const scale = Math.max(scaleOf(low, high) * scaleOf(values), scaleOf(low) * scaleOf(down));
      requireClose('‹up(X), G›', [dot(high, values)], [dot(low, down)], error(all) * scale);
    },
  }),
  law({
    name: 'Π = Πᵀ',
    formula: '‹ΠG, H› = ‹G, ΠH›',
    why: 'An oblique projection mixes the residual into the subspace; descent is then no longer certain.',
    needs: ['shapes as declared', 'up is the adjoint of down'],
    notApplicable: notOrthonormal,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const h = normalTensor(all.site.shape, example.seed, 'h');
      const left = dot(await numbers(projectOnto(all, all.g)), await numbers(h));
      const right = dot(all.values, await numbers(projectOnto(all, h)));
      requireClose('‹ΠG, H›', [left], [right], error(all) * scaleOf(all.values) * scaleOf(await numbers(h)));
    },
  }),
  law({
    name: 'isometry and contraction',
    formula: '‖up(X)‖ = ‖X‖, ‖down(G)‖ ≤ ‖G‖',
    why: 'Learning rates and clipping mean the same inside and outside only when lengths are kept.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: notOrthonormal,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, basis, site, reduced, g, values } = all;
      const x = normalTensor(reduced, example.seed, 'x');
      const lifted = norm(await numbers(projector.up(x, basis, site)));
      requireClose('‖up(X)‖', [lifted], [norm(await numbers(x))], error(all) * norm(await numbers(x)));
      const low = norm(await numbers(projector.down(g, basis, site)));
      requireAtMost('‖down(G)‖', low, norm(values), error(all) * norm(values));
    },
  }),
  law({
    name: 'Pythagoras',
    formula: '‖G‖² = ‖down(G)‖² + ‖G - ΠG‖²',
    why: 'State-full and state-free parts must share the gradient out without overlap.',
    needs: ['shapes as declared', 'down ∘ up = id', 'up is the adjoint of down'],
    notApplicable: notOrthonormal,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const { projector, basis, site, g, values } = all;
      const scale = scaleOf(values);
      const low = norm(await numbers(projector.down(g, basis, site))) / scale;
      const rest = norm(await numbers(sub(g, projectOnto(all, g)))) / scale;
      const whole = norm(values) / scale;
      requireClose('(‖down(G)‖² + ‖G - ΠG‖²) / ‖G‖²', [low ** 2 + rest ** 2], [whole ** 2], 4 * error(all));
    },
  }),
  law({
    name: 'coordinates are kept or dropped',
    formula: 'every entry of ΠG is that of G, or 0, to the last bit; as many are kept as down returns',
    why: 'A coordinate projector promises an exact residual, and sign-based rules step on every rounding error in it.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: ({ traits }) => (traits.coordinate ? null : 'not a coordinate projector'),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      const kept = await numbers(projectOnto(all, all.g));
      all.values.forEach((x, i) => {
        require(kept[i] === 0 || kept[i] === x, () =>
          `entry ${i} of ΠG is ${show(kept[i]!)}, neither 0 nor that of G, ${show(x)}`);
      });
      const ones = await numbers(projectOnto(all, add(mul(all.g, 0), 1)));
      const count = dot(ones, ones);
      require(count === sizeOf(all.reduced), () =>
        `${count} coordinates are kept, down returns ${sizeOf(all.reduced)} numbers`);
    },
  }),
  law({
    name: 'the whole space is the identity',
    formula: 'size of down(G) = size of G ⟹ ΠG = G',
    why: 'With density 1 a hybrid must be its state-full rule; the composition then leaves the residual out.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    notApplicable: notOrthonormal,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      fc.pre(sizeOf(all.reduced) === sizeOf(all.site.shape));
      const whole = await numbers(projectOnto(all, all.g));
      if (fixture.traits.coordinate) requireSame('ΠG', whole, all.values);
      else requireClose('ΠG', whole, all.values, error(all) * scaleOf(all.values));
    },
  }),
  law({
    name: 'the kept axis',
    formula: 'keeps = row ⟹ down(DG) = D down(G) and up(DX) = D up(X) for every diagonal D; column: from the right',
    why: 'Measures of the subspace are one number per row or column of that axis: along the other one they scale strangers.',
    needs: ['shapes as declared', 'linearity'],
    notApplicable: ({ namesAxis }) => (namesAxis ? null : 'the projector has no keeps: the shapes tell'),
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, reduced, basis, g } = fitted(fixture, example);
      const kept = projector.keeps!(site);
      fc.pre(kept !== null);
      const axis = kept === 'row' ? 0 : 1;
      const [full, low] = [matrixView(site.shape), matrixView(reduced)];
      require(full[axis] === low[axis], () => `a ${kept} is kept, of [${full}] as [${low}]`);
      const stretch = Float32Array.from({ length: full[axis]! }, (_, i) => 2 ** ((i + example.seed) % 4));
      const stretched = (x: Tensor): Tensor =>
        reshape(
          mul(reshape(x, [...matrixView(x.shape)]), tensor(stretch, axis === 0 ? [full[axis]!, 1] : [1, full[axis]!])),
          x.shape,
        );
      const x = normalTensor(reduced, example.seed, 'x');
      const terms = rounding(Math.max(...full));
      const requireEquivariant = async (name: string, map: (x: Tensor) => Tensor, of: Tensor): Promise<void> => {
        const [found, straight] = [await numbers(map(stretched(of))), map(of)];
        const expected = await numbers(stretched(straight));
        requireClose(`${name} of the stretched ${kept}s`, found, expected, terms * scaleOf(found, await numbers(of)));
      };
      await requireEquivariant('down', y => projector.down(y, basis, site), g);
      await requireEquivariant('up', y => projector.up(y, basis, site), x);
    },
  }),
];

/** Relative rounding error of one trip through a projector at this parameter. */
function error({ site }: Fitted): number {
  const [m, n] = matrixView(site.shape);
  return rounding(Math.max(m, n));
}
