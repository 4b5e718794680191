import { sameShape, sizeOf } from '@frugaljs/core';
import { dispose, memory, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, require, requireFinite, requireSame } from '../law.js';
import {
  basisNumbers,
  fitted,
  isAsDeclared,
  normalTensor,
  numbers,
  type ProjectorFixture,
  place,
  projectOnto,
  projectorExamples,
} from './fixture.js';

/** Laws of what a projector takes and gives: shapes, types, purity, memory. */
export const STRUCTURE_LAWS: readonly Law<ProjectorFixture>[] = [
  law({
    name: 'shapes as declared',
    formula: 'down(G) has the shape reducedShape, up(X) the shape of the parameter, fit returns what basis() lists',
    why: 'State is allocated and memory is reported from these shapes before the first step.',
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, reduced, basis, g } = fitted(fixture, example);
      const again = projector.reducedShape(site, refreshIndex);
      require(again !== null && isAsDeclared(projector, reduced, again), () =>
        projector.shapeWith === undefined
          ? `reducedShape says [${reduced}], then [${again}]`
          : `shapeWith says [${reduced}], which is not within reducedShape, [${again}]`);
      const specs = projector.basis(site, refreshIndex);
      const [declared, found] = [Object.keys(specs).sort(), Object.keys(basis).sort()];
      require(declared.join() === found.join(), () => `fit returns {${found}}, basis() lists {${declared}}`);
      for (const [name, { shape, dtype }] of Object.entries(specs)) {
        const { shape: actual, dtype: type } = basis[name]!;
        require(isAsDeclared(projector, actual, shape) && type === dtype, () =>
          `basis.${name} is ${type} [${actual}], basis() declares ${dtype} [${shape}]`);
      }
      const requireShape = (what: string, x: Tensor, shape: readonly number[]): void => {
        require(sameShape(x.shape, shape), () => `${what} has the shape [${x.shape}], expected [${shape}]`);
        require(x.dtype === 'float32', () => `${what} is ${x.dtype}, expected float32`);
      };
      requireShape('down(G)', projector.down(g, basis, site), reduced);
      requireShape('up(X)', projector.up(normalTensor(reduced, 1, 'x'), basis, site), site.shape);
    },
  }),
  law({
    name: 'inputs untouched',
    formula: 'fit, down, up and transport neither change nor dispose what they are given, nor return it',
    why: 'The same gradient serves the residual, other parameters and clipping; the caller disposes what it gets back.',
    needs: ['shapes as declared'],
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, reduced, basis, g, values } = fitted(fixture, example);
      const x = normalTensor(reduced, example.seed, 'x');
      const before = { g: values, x: (await numbers(x)).slice(), basis: await basisNumbers(basis) };
      const next = projector.fit(g, basis, { site, refreshIndex: refreshIndex + 1 });
      const results = [projector.down(g, basis, site), projector.up(x, basis, site)];
      if (projector.transport !== undefined) results.push(projector.transport(x, basis, next, site, 1));
      const given = [g, x, ...Object.values(basis)];
      for (const tensor of given) require(!tensor.isDisposed, () => 'a tensor that was passed in has been disposed');
      for (const result of results) {
        require(!given.includes(result), () => 'a tensor that was passed in is returned itself; return a clone');
      }
      dispose(results);
      for (const tensor of given) require(!tensor.isDisposed, () => 'disposing a result disposes what was passed in');
      requireSame('the gradient after the calls', await numbers(g), before.g);
      requireSame('X after the calls', await numbers(x), before.x);
      requireSame('the basis after the calls', await basisNumbers(basis), before.basis);
    },
  }),
  law({
    name: 'no leaks',
    formula: 'tensors after a call = tensors before it + tensors returned',
    why: 'One leaked tensor per step fills the memory of a device within a training run.',
    needs: ['shapes as declared', 'inputs untouched'],
    effort: 0.5,
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const { projector, site, refreshIndex, reduced, basis, g } = fitted(fixture, example);
      const x = normalTensor(reduced, example.seed, 'x');
      const next = projector.fit(g, null, { site, refreshIndex: refreshIndex + 1 });
      const count = (what: string, returned: number, call: () => unknown): void => {
        const { numTensors } = memory();
        const result = call();
        const made = memory().numTensors - numTensors;
        require(made === returned, () => `${what} leaves ${made} tensors behind and returns ${returned}`);
        dispose(result as Tensor);
      };
      count('fit', Object.keys(basis).length, () => ({ ...projector.fit(g, basis, { site, refreshIndex }) }));
      count('down', 1, () => projector.down(g, basis, site));
      count('up', 1, () => projector.up(x, basis, site));
      const { transport } = projector;
      if (transport !== undefined) {
        for (const degree of [1, 2] as const) {
          count('transport', 1, () => transport.call(projector, x, basis, next, site, degree));
        }
      }
    },
  }),
  law({
    name: 'any finite gradient',
    formula: 'fit and Π are finite for zero, constant, sparse, low-rank and ill-conditioned G of every scale',
    why: 'Dead units, padding and the first steps of training give such gradients; one NaN ends the run.',
    needs: ['shapes as declared'],
    example: projectorExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const all = fitted(fixture, example);
      requireFinite('the basis', await basisNumbers(all.basis));
      requireFinite('up(down(G))', await numbers(projectOnto(all, all.g)));
    },
  }),
  law({
    name: 'covers something',
    formula: 'some parameter has a subspace that is not empty',
    why: 'A projector that keeps nothing passes every other law and trains nothing.',
    effort: 'once',
    example: () => fc.record({ seed: fc.nat({ max: 9999 }) }),
    check: async (fixture: ProjectorFixture, { seed }) => {
      const examples = fc.sample(projectorExamples(fixture), { seed, numRuns: 60 });
      const works = examples.some(example => {
        try {
          const { projector, site, refreshIndex } = place(fixture, example);
          const reduced = projector.reducedShape(site, refreshIndex);
          return reduced !== null && sizeOf(reduced) > 0;
        } catch (error) {
          if (fc.PreconditionFailure.isFailure(error)) return false;
          throw error;
        }
      });
      require(works, () => `of ${examples.length} parameters all are refused or have an empty subspace`);
    },
  }),
];
