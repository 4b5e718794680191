import { FrugalError, matrixView, type Projector, type Shape, type Site, sameShape, sizeOf } from '@frugaljs/core';
import { dispose, memory, type Tensor, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { MATRIX_KINDS, type MatrixKind, matrixValues } from '../arbitraries/matrices.js';
import { degenerateShapes } from '../arbitraries/shapes.js';
import { BrokenLaw, type Law, law, require } from '../law.js';
import { requireClose, requireFinite, requireSame, rounding, scaleOf } from '../numerics/closeness.js';
import { fitted, type ProjectorSubject, place, projectOnto, projectorExamples, siteOf } from './subject.js';
import { basisNumbers, normalTensor, numbers } from './tensor-numbers.js';

/** Laws of what a projector takes and gives: shapes, types, purity, memory. */
export const STRUCTURE_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'shapes as declared',
    formula: 'down(G) has the shape reducedShape, up(X) the shape of the parameter, fit returns what basis() lists',
    why: 'State is allocated and memory is reported from these shapes before the first step.',
    example: projectorExamples,
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex, reduced, basis, g } = fitted(subject, example);
      const again = projector.reducedShape(site, refreshIndex);
      require(again !== null && sameShape(again, reduced), () => `reducedShape says [${reduced}], then [${again}]`);
      const specs = projector.basis(site);
      const [declared, found] = [Object.keys(specs).sort(), Object.keys(basis).sort()];
      require(declared.join() === found.join(), () => `fit returns {${found}}, basis() lists {${declared}}`);
      for (const [name, { shape, dtype }] of Object.entries(specs)) {
        const { shape: actual, dtype: type } = basis[name]!;
        require(sameShape(actual, shape) && type === dtype, () =>
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
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex, reduced, basis, g, values } = fitted(subject, example);
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
    check: async (subject: ProjectorSubject, example) => {
      const { projector, site, refreshIndex, reduced, basis, g } = fitted(subject, example);
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
    check: async (subject: ProjectorSubject, example) => {
      const all = fitted(subject, example);
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
    check: async (subject: ProjectorSubject, { seed }) => {
      const examples = fc.sample(projectorExamples(subject), { seed, numRuns: 60 });
      const works = examples.some(example => {
        try {
          const { projector, site, refreshIndex } = place(subject, example);
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

/** Laws of parameters at the edge. */
export const EDGE_LAWS: readonly Law<ProjectorSubject>[] = [
  law({
    name: 'degenerate parameters',
    formula: 'on 1 × 1, 1 × n, n × 1, scalars, vectors and tensors of 3 axes: down ∘ up = id, or check refuses',
    why: 'Models have biases, single heads and tiny layers; what fails on them fails at the first step of training.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    effort: 'once',
    example: subject => fc.record({ options: fc.array(subject.options, { minLength: 6, maxLength: 6 }) }),
    check: async (subject: ProjectorSubject, { options }) => {
      for (const shape of degenerateShapes('any')) {
        for (const chosen of options) await tryShape(subject, shape, chosen);
      }
    },
  }),
  law({
    name: 'large parameters',
    formula: 'on 48 × 20 and 20 × 48: down ∘ up = id',
    why: 'Orthonormalization that is good enough for nine columns may not be for forty; layers have thousands.',
    needs: ['shapes as declared', 'down ∘ up = id'],
    effort: 'once',
    example: subject => fc.record({ options: fc.array(subject.options, { minLength: 2, maxLength: 2 }) }),
    check: async (subject: ProjectorSubject, { options }) => {
      for (const shape of LARGE) {
        for (const chosen of options) await tryShape(subject, shape, chosen, ['normal', 'illConditioned']);
      }
    },
  }),
];

/** Beyond the sizes that other laws draw; tall and wide. */
const LARGE: readonly Shape[] = [
  [48, 20],
  [20, 48],
];

async function tryShape(
  subject: ProjectorSubject,
  shape: Shape,
  options: unknown,
  kinds: readonly MatrixKind[] = MATRIX_KINDS,
): Promise<void> {
  const site = siteOf({ shape, seed: 3, before: 1, after: 2 });
  const where = `shape [${shape}], options ${JSON.stringify(options)}`;
  const projector = madeFor(subject, site, options);
  if (projector === null) return;
  try {
    const reduced = projector.reducedShape(site, 0);
    if (reduced === null || sizeOf(reduced) === 0) return;
    for (const kind of kinds) {
      const g = tensor(matrixValues(shape, { kind, exponent: 0, seed: 5 }), [...shape], 'float32');
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      const x = normalTensor(reduced, 1, 'x');
      const back = projector.down(projector.up(x, basis, site), basis, site);
      requireFinite(`up(down(G)) with ${where}`, await numbers(projectOnto({ projector, basis, site }, g)));
      if (!subject.traits.orthonormal) continue;
      const tolerance = rounding(Math.max(...matrixView(shape))) * scaleOf(await numbers(x));
      requireClose(`down(up(X)) with ${where}`, await numbers(back), await numbers(x), tolerance);
    }
  } catch (error) {
    if (error instanceof BrokenLaw) throw error;
    throw new BrokenLaw(`with ${where} it throws ${String(error)}; check() should refuse such a parameter`);
  }
}

/** The projector, or null when it refuses the parameter. */
function madeFor(subject: ProjectorSubject, site: Site, options: unknown): Projector | null {
  try {
    const projector = subject.create(options, site);
    projector.check?.(site);
    return projector;
  } catch (error) {
    if (error instanceof FrugalError) return null;
    throw new BrokenLaw(`shape [${site.shape}] is refused with ${String(error)}, expected an error of @frugaljs/core`);
  }
}
