import { type Basis, type Projector, type Shape, sameShape, sizeOf } from '@frugaljs/core';
import { PROJECTORS } from '@frugaljs/projectors';
import { add, memory, mul, sub, type Tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from './backends.js';
import { type Case, casesOf } from './cases.js';
import { basisNumbers, disposeBasis, distance, dot, normal, take } from './tensors.js';

interface Fitted extends Case {
  readonly projector: Projector;
  readonly basis: Basis;
  readonly reduced: Shape;
  readonly g: Tensor;
}

const RUNS = 25;
/** Relative to numbers of size 1: a few roundings of float32. */
const CLOSE = 2e-5;

function build({ kind, options }: Case): Projector {
  return PROJECTORS[kind]!.create(options);
}

/** Fits the projector of a case and runs a law, unless nothing of the parameter is in the subspace. */
function onFitted(kind: string, law: (fitted: Fitted) => void): void {
  let ran = 0;
  fc.assert(
    fc.property(casesOf(kind), example => {
      const projector = build(example);
      const { site, epoch } = example;
      projector.check?.(site);
      const reduced = projector.reducedShape(site, epoch);
      if (reduced === null || sizeOf(reduced) === 0) return;
      ran++;
      tidy(() => {
        const g = normal(site.shape, 'gradient', site.seed);
        const basis = projector.fit(g, null, { site, epoch });
        law({ ...example, projector, basis, reduced, g });
      });
    }),
    { seed: 20, numRuns: RUNS },
  );
  expect(ran).toBeGreaterThan(RUNS / 5);
}

const numbers = (x: Tensor): Float32Array => x.dataSync() as Float32Array;
const norm2 = (x: Tensor): number => dot(numbers(x), numbers(x));
const project = ({ projector, basis, site }: Fitted, x: Tensor): Tensor =>
  projector.up(projector.down(x, basis, site), basis, site);

describe.each(BACKENDS)('laws of projectors on %s', backend => {
  useBackend(backend);

  describe.each(Object.keys(PROJECTORS))('%s', kind => {
    it('declares the tensors of its basis and the shape of down', () => {
      onFitted(kind, ({ projector, basis, reduced, g, site }) => {
        const specs = projector.basis(site);
        expect(Object.keys(basis).sort()).toEqual(Object.keys(specs).sort());
        for (const [name, { shape, dtype }] of Object.entries(specs)) {
          expect(basis[name]!.shape).toEqual(shape);
          expect(basis[name]!.dtype).toBe(dtype);
        }
        expect(projector.down(g, basis, site).shape).toEqual(reduced);
      });
    });

    it('down ∘ up = id', () => {
      onFitted(kind, ({ projector, basis, reduced, site }) => {
        const x = normal(reduced, 'x');
        const up = projector.up(x, basis, site);
        expect(up.shape).toEqual(site.shape);
        expect(distance(numbers(projector.down(up, basis, site)), numbers(x))).toBeLessThan(CLOSE);
      });
    });

    it('Π is idempotent and symmetric, and so an orthogonal projection', () => {
      onFitted(kind, fitted => {
        const [a, b] = [fitted.g, normal(fitted.site.shape, 'b')];
        const [pa, pb] = [project(fitted, a), project(fitted, b)];
        expect(distance(numbers(project(fitted, pa)), numbers(pa))).toBeLessThan(CLOSE);
        const scale = Math.sqrt(norm2(a) * norm2(b));
        expect(Math.abs(dot(numbers(pa), numbers(b)) - dot(numbers(a), numbers(pb)))).toBeLessThan(CLOSE * scale);
      });
    });

    it('‖G‖² = ‖down G‖² + ‖G - ΠG‖²', () => {
      onFitted(kind, fitted => {
        const { g, projector, basis, site } = fitted;
        const parts = norm2(projector.down(g, basis, site)) + norm2(sub(g, project(fitted, g)));
        expect(Math.abs(parts - norm2(g))).toBeLessThan(CLOSE * norm2(g));
      });
    });

    it('‹up x, G› = ‹x, down G› and ‖up x‖ = ‖x‖', () => {
      onFitted(kind, ({ projector, basis, reduced, g, site }) => {
        const x = normal(reduced, 'x');
        const up = projector.up(x, basis, site);
        const inSubspace = dot(numbers(x), numbers(projector.down(g, basis, site)));
        const scale = Math.sqrt(norm2(x) * norm2(g));
        expect(Math.abs(dot(numbers(up), numbers(g)) - inSubspace)).toBeLessThan(CLOSE * scale);
        expect(Math.abs(norm2(up) - norm2(x))).toBeLessThan(CLOSE * norm2(x));
      });
    });

    it('down and up are linear', () => {
      onFitted(kind, ({ projector, basis, reduced, g, site }) => {
        const h = normal(site.shape, 'h');
        const down = (x: Tensor): Tensor => projector.down(x, basis, site);
        const sum = add(mul(down(g), 0.5), mul(down(h), -3));
        expect(distance(numbers(down(add(mul(g, 0.5), mul(h, -3)))), numbers(sum))).toBeLessThan(10 * CLOSE);
        const [x, y] = [normal(reduced, 'x'), normal(reduced, 'y')];
        const up = (z: Tensor): Tensor => projector.up(z, basis, site);
        const upSum = add(mul(up(x), 0.5), mul(up(y), -3));
        expect(distance(numbers(up(add(mul(x, 0.5), mul(y, -3)))), numbers(upSum))).toBeLessThan(10 * CLOSE);
      });
    });

    it('keeps every entry or drops it, exactly, if it says it is a coordinate projector', () => {
      onFitted(kind, fitted => {
        if (!fitted.projector.traits.coordinate) return;
        const [g, kept] = [numbers(fitted.g), numbers(project(fitted, fitted.g))];
        expect(kept.every((value, i) => value === 0 || value === g[i])).toBe(true);
        expect(kept.filter(value => value !== 0).length).toBe(sizeOf(fitted.reduced));
      });
    });

    it('is the identity, exactly, where it covers the whole space', () => {
      onFitted(kind, fitted => {
        if (sizeOf(fitted.reduced) !== sizeOf(fitted.site.shape)) return;
        expect(distance(numbers(project(fitted, fitted.g)), numbers(fitted.g))).toBe(0);
      });
    });

    it('fits the same basis again, and without the gradient unless it is fitted to one', () => {
      onFitted(kind, ({ projector, basis, g, site, epoch }) => {
        const gradient = projector.traits.basisFrom === 'gradient' ? g : null;
        expect(basisNumbers(projector.fit(gradient, null, { site, epoch }))).toEqual(basisNumbers(basis));
      });
    });

    it('is rebuilt by its options in JSON', () => {
      onFitted(kind, ({ projector, basis, g, site, epoch }) => {
        const again = PROJECTORS[projector.kind]!.create(JSON.parse(JSON.stringify(projector.options)));
        expect(projector.kind).toBe(kind);
        expect(again.options).toEqual(projector.options);
        expect(basisNumbers(again.fit(g, null, { site, epoch }))).toEqual(basisNumbers(basis));
      });
    });

    it('transports to the same subspace without change', () => {
      onFitted(kind, ({ projector, basis, reduced, site }) => {
        if (projector.transport === undefined) return;
        const x = normal(reduced, 'x');
        for (const degree of [1, 2] as const) {
          const carried = projector.transport(x, basis, basis, site, degree);
          expect(carried.shape).toEqual(reduced);
          expect(distance(numbers(carried), numbers(x))).toBeLessThan(CLOSE);
        }
      });
    });

    it('neither changes nor disposes what it is given, and leaves nothing behind', () => {
      onFitted(kind, ({ projector, reduced, g, site, epoch }) => {
        const before = numbers(g).slice();
        const x = normal(reduced, 'x');
        const tensors = memory().numTensors;
        const basis = projector.fit(g, null, { site, epoch });
        expect(memory().numTensors).toBe(tensors + Object.keys(basis).length);
        const held = basisNumbers(basis);
        const next = projector.fit(g, basis, { site, epoch });
        const [low, up] = [projector.down(g, basis, site), projector.up(x, basis, site)];
        const carried = [1, 2].map(degree => projector.transport?.(x, basis, next, site, degree as 1 | 2));
        expect(basisNumbers(basis)).toEqual(held);
        expect(distance(numbers(g), before)).toBe(0);
        for (const y of [low, up, ...carried]) y?.dispose();
        disposeBasis(next);
        disposeBasis(basis);
        expect(memory().numTensors).toBe(tensors);
        expect(take(g.clone()).length).toBe(before.length);
      });
    });

    it('works on its example in the table', () => {
      const { create, example } = PROJECTORS[kind]!;
      const shape = [8, 12];
      const site = { name: 'parameter', shape, seed: 0, path: '', members: [{ name: 'parameter', shape }], index: 0 };
      const projector = create(example);
      projector.check?.(site);
      const reduced = projector.reducedShape(site, 0);
      expect(reduced === null || reduced.length > 0).toBe(true);
      if (kind === 'identity') expect(sameShape(reduced!, shape)).toBe(true);
    });
  });
});
