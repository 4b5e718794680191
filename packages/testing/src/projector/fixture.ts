import {
  type Basis,
  FrugalError,
  type Projector,
  type ProjectorTraits,
  randomKey,
  randomNormals,
  type Shape,
  type Site,
  type SiteMember,
  sameShape,
  sizeOf,
  soleSite,
} from '@frugaljs/core';
import { Tensor, tensor } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { densities } from '../arbitraries/compositions.js';
import {
  type MatrixOptions,
  type MatrixRecipe,
  matrixRecipes,
  matrixValues,
  type Parameters,
  shapes,
} from '../arbitraries/gradients.js';
import { BrokenLaw } from '../law.js';
import { type RunOptions, requireKnownClaims, requireMade } from '../run.js';

/** What a factory of projectors promises beyond the traits of what it makes. */
export interface ProjectorClaims<Options> {
  /** Parameters it works on. Default `matrix`. It may still refuse one with a `FrugalError` from `check`. */
  readonly parameters?: Parameters;
  /** Options to draw. Default: `{ density }`. */
  readonly options?: Arbitrary<Options>;
  /**
   * The subspace is drawn at random: another seed or refresh gives another one, and on average every direction is kept
   * alike. Default: true for a basis from the seed. Set it to false where the user or a fixed order decides.
   */
  readonly random?: boolean;
  /**
   * No subspace of this size keeps more of the gradient it was fitted to (Eckart–Young): the residual is at most this
   * factor times the smallest possible. 1 for an exact decomposition. Default: no such claim.
   */
  readonly optimal?: number;
  /**
   * Permuting rows or columns of the gradient permutes its projection: true for singular vectors, false for a basis
   * fixed in advance. Default false.
   */
  readonly permutationEquivariant?: boolean;
  /** Scales and kinds of the gradients. Default: all kinds, from 2⁻⁴⁰ to 2⁴⁰. */
  readonly matrices?: MatrixOptions;
}

export interface ProjectorLawOptions<Options> extends ProjectorClaims<Options>, RunOptions {
  /** How reports call it. Default: the kind. */
  readonly name?: string;
}

export type ProjectorFactory<Options> = (options: Options, site: Site) => Projector;

/** A factory under test. */
export interface ProjectorFixture {
  readonly create: ProjectorFactory<unknown>;
  readonly options: Arbitrary<unknown>;
  readonly parameters: Parameters;
  readonly random: boolean;
  readonly optimal: number | null;
  readonly permutationEquivariant: boolean;
  readonly matrices: MatrixOptions;
  /** Of a projector made with the first options drawn; traits do not depend on options. */
  readonly traits: ProjectorTraits;
  readonly kind: string;
  /** Names of the options drawn. */
  readonly optionNames: readonly string[];
  /** It takes parameters whole or not at all: its basis has no tensors. */
  readonly takesWholes: boolean;
  /** Whether the projector says which axis it keeps. */
  readonly namesAxis: boolean;
  /** Whether the projector has its own way to carry state. */
  readonly transports: boolean;
  /** Published ways to derive a basis, the current one included. */
  readonly revision: number;
  /** Whether the size follows from the gradient, within the declared one. */
  readonly sizedByGradient: boolean;
}

const CLAIMS = ['parameters', 'options', 'random', 'optimal', 'permutationEquivariant', 'matrices'];
const MEMBERS = ['kind', 'options', 'traits', 'reducedShape', 'basis', 'fit', 'down', 'up'] as const;

export function projectorFixture<Options>(
  factory: ProjectorFactory<Options>,
  claims: ProjectorClaims<Options> = {},
): ProjectorFixture {
  requireKnownClaims('checkProjector', claims, CLAIMS);
  const options = (claims.options ?? fc.record({ density: densities() })) as Arbitrary<unknown>;
  const create = factory as ProjectorFactory<unknown>;
  const drawn = fc.sample(options, { seed: 1, numRuns: 20 });
  const site = soleSite('parameter', [4, 6]);
  const sample = requireMade('a projector', create(drawn[0], site), MEMBERS);
  return {
    create,
    options,
    parameters: claims.parameters ?? 'matrix',
    random: claims.random ?? sample.traits.basisFrom === 'seed',
    optimal: claims.optimal ?? null,
    permutationEquivariant: claims.permutationEquivariant ?? false,
    matrices: claims.matrices ?? {},
    traits: sample.traits,
    kind: sample.kind,
    optionNames: [...new Set(drawn.flatMap(chosen => Object.keys((chosen ?? {}) as object)))],
    takesWholes: hasEmptyBasis(sample, site),
    namesAxis: sample.keeps !== undefined,
    transports: sample.transport !== undefined,
    revision: sample.revision ?? 1,
    sizedByGradient: sample.shapeWith !== undefined,
  };
}

/** Shape of down(G) with a basis. */
export function shapeIn({ projector, basis, site, refreshIndex }: Omit<Fitted, 'reduced' | 'g' | 'values'>): Shape {
  return projector.shapeWith?.(basis, site) ?? projector.reducedShape(site, refreshIndex)!;
}

/** Whether a tensor has the declared shape, or less of it where the size follows from the gradient. */
export function isAsDeclared({ shapeWith }: Projector, found: Shape, declared: Shape): boolean {
  if (shapeWith === undefined) return sameShape(found, declared);
  return found.length === declared.length && found.every((n, axis) => n >= 1 && n <= declared[axis]!);
}

function hasEmptyBasis(projector: Projector, site: Site): boolean {
  try {
    return Object.keys(projector.basis(site)).length === 0;
  } catch {
    // A projector may refuse this site; laws draw others.
    return false;
  }
}

/** Why a law of orthonormal bases says nothing. */
export function notOrthonormal({ traits }: ProjectorFixture): string | null {
  return traits.orthonormal ? null : 'not with the trait orthonormal: false';
}

/** Why a law of maps that are each other's transpose says nothing. */
export function upMayBeAnother({ traits }: ProjectorFixture): string | null {
  if (traits.orthonormal || traits.unbiased) return null;
  return 'up may be another inverse with the trait orthonormal: false, unless unbiased';
}

/** Why a law of parts of a parameter says nothing. */
export function takesNoParts({ takesWholes }: ProjectorFixture): string | null {
  return takesWholes ? 'takes parameters whole or not at all' : null;
}

/** Why a law of the coordinates that a projector chooses says nothing. */
export function choosesNoCoordinates(fixture: ProjectorFixture): string | null {
  return fixture.traits.coordinate ? takesNoParts(fixture) : 'not a coordinate projector';
}

/** What one run of a law draws. The shape comes first, so that it shrinks first. */
export interface ProjectorExample {
  readonly shape: Shape;
  readonly options: unknown;
  readonly matrix: MatrixRecipe;
  readonly refreshIndex: number;
  readonly seed: number;
  /** Parameters of the group before and after this one. */
  readonly before: number;
  readonly after: number;
}

export function projectorExamples(fixture: ProjectorFixture): Arbitrary<ProjectorExample> {
  return fc.record({
    shape: shapes({ parameters: fixture.parameters }),
    options: fixture.options,
    matrix: matrixRecipes(fixture.matrices),
    refreshIndex: fc.integer({ min: 0, max: 6 }),
    seed: fc.nat({ max: 99999 }),
    before: fc.integer({ min: 0, max: 4 }),
    after: fc.integer({ min: 0, max: 4 }),
  });
}

/** The group of a parameter with neighbors of one layer each. */
export function siteOf({
  shape,
  seed,
  before,
  after,
}: Pick<ProjectorExample, 'shape' | 'seed' | 'before' | 'after'>): Site {
  const neighbor = (_: unknown, i: number): SiteMember => ({ name: `layers.${i}.weight`, shape: [3, 3] });
  const members = [
    ...Array.from({ length: before }, neighbor),
    { name: 'parameter', shape },
    ...Array.from({ length: after }, (_, i) => neighbor(_, before + i)),
  ];
  return { name: 'parameter', shape, seed, path: '', members, index: before };
}

/** A projector that accepts its site. */
export interface Placed {
  readonly projector: Projector;
  readonly site: Site;
  readonly refreshIndex: number;
}

/** Makes the projector; passes over the example when the projector refuses the parameter. */
export function place(fixture: ProjectorFixture, example: ProjectorExample): Placed {
  const site = siteOf(example);
  try {
    const projector = fixture.create(example.options, site);
    projector.check?.(site);
    return { projector, site, refreshIndex: example.refreshIndex };
  } catch (error) {
    if (error instanceof FrugalError) fc.pre(false);
    throw error;
  }
}

/** A projector fitted to a gradient. */
export interface Fitted extends Placed {
  readonly reduced: Shape;
  readonly g: Tensor;
  /** The entries of g. */
  readonly values: Float32Array;
  readonly basis: Basis;
}

/** Fits the projector; passes over the example when nothing of the parameter is in the subspace. */
export function fitted(fixture: ProjectorFixture, example: ProjectorExample): Fitted {
  const placed = place(fixture, example);
  const { projector, site, refreshIndex } = placed;
  const reduced = projector.reducedShape(site, refreshIndex);
  if (reduced === null || sizeOf(reduced) === 0) fc.pre(false);
  const values = matrixValues(site.shape, example.matrix);
  // The cpu backend keeps the array it is given; `values` must stay what it is whatever happens to the tensor.
  const g = tensor(values.slice(), [...site.shape], 'float32');
  const basis: unknown = projector.fit(g, null, { site, refreshIndex });
  if (typeof basis !== 'object' || basis === null || basis instanceof Promise || basis instanceof Tensor) {
    throw new BrokenLaw(`fit returns ${nameOf(basis)}, expected an object of tensors: those that basis() lists`);
  }
  const known = { ...placed, basis: basis as Basis };
  return { ...known, reduced: shapeIn(known), g, values };
}

function nameOf(value: unknown): string {
  if (value instanceof Promise) return 'a Promise';
  return value instanceof Tensor ? 'a Tensor' : String(value);
}

/** Π x = up(down(x)). */
export function projectOnto(
  { projector, basis, site }: Pick<Fitted, 'projector' | 'basis' | 'site'>,
  x: Tensor,
): Tensor {
  return projector.up(projector.down(x, basis, site), basis, site);
}

/** The entries of a tensor. */
export function numbers(x: Tensor): Promise<Float32Array | Int32Array> {
  return x.data() as Promise<Float32Array | Int32Array>;
}

/** The tensors of a basis as one list of numbers, in the order of their names. */
export async function basisNumbers(basis: Basis): Promise<number[]> {
  const names = Object.keys(basis).sort();
  const values = await Promise.all(names.map(name => numbers(basis[name]!)));
  return values.flatMap(list => Array.from(list));
}

/** A float32 tensor of standard normal numbers. */
export function normalTensor(shape: Shape, seed: number, label: string): Tensor {
  return tensor(randomNormals(randomKey(seed, label), sizeOf(shape)), [...shape], 'float32');
}
