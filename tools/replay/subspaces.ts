// The official subspaces as projectors: those that the library has, and those that only the official code has.
import {
  type Basis,
  type BasisSpec,
  InvalidOptionError,
  type Projector,
  roundHalfToEven,
  type Shape,
  type SiteMember,
  soleSite,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { leadingSingularTriplets, leadingSubspace } from '@frugaljs/linalg';
import { type BlockOrder, blockwise, given, svd } from '@frugaljs/projectors';
import {
  cast,
  clone,
  expandDims,
  gather,
  less,
  matMul,
  mul,
  reshape,
  scatterND,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  tensor1d,
  tensor2d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';
import type { RecordedFactors, Recording } from './recording.js';
import type { TrajectoryParameter } from './trajectory-file.js';

type Factor = 'left' | 'right';

/** Where the official projectors multiply. */
export type OfficialSide = 'std' | 'reverse_std' | 'right' | 'left' | 'full';

/** A side once the shape of the parameter is known. */
export type ResolvedSide = 'right' | 'left' | 'full';

/** The factors that a dense projector of a parameter has. */
export interface DenseFactors {
  readonly side: ResolvedSide;
  readonly rank: number;
  /** Shapes of the recorded matrices: r × n on the right, m × r on the left. */
  readonly shapes: readonly Shape[];
  /** Some side keeps all of its dimension, so that its factor is a rotation. */
  readonly rotates: boolean;
}

/** The two dimensions of a parameter that the official projectors take. */
export function requireMatrix({ name, shape }: TrajectoryParameter): readonly [number, number] {
  if (shape.length === 2) return [shape[0]!, shape[1]!];
  throw new UnsupportedShapeError({
    parameter: `projectable parameter "${name}"`,
    found: `shape [${shape}]`,
    expected: 'a matrix, which is what this official projector takes',
  });
}

/** `std` projects the smaller dimension, `reverse_std` the larger one; a square is projected on the right by `std`. */
export function resolveSide(side: OfficialSide, [m, n]: readonly [number, number]): ResolvedSide {
  if (side === 'std') return m >= n ? 'right' : 'left';
  if (side === 'reverse_std') return m >= n ? 'left' : 'right';
  return side;
}

/** The rank that FRUGAL's code gives a density: a share of the projected dimension, ties to even. */
export function rankOfDensity(density: number, side: ResolvedSide, [m, n]: readonly [number, number]): number {
  return roundHalfToEven(density * (side === 'right' ? n : side === 'left' ? m : Math.min(m, n)));
}

/** @param wanted The rank; of singular vectors there are no more than the smaller dimension, and slicing takes those. */
export function denseFactors(
  side: ResolvedSide,
  wanted: number,
  type: 'svd' | 'random' | 'randperm',
  [m, n]: readonly [number, number],
): DenseFactors {
  const rank = type === 'svd' ? Math.min(wanted, m, n) : wanted;
  const [left, right] = [[m, rank] as const, [rank, n] as const];
  const shapes = { right: [right], left: [left], full: [left, right] }[side];
  const rotates = (side !== 'left' && rank === n) || (side !== 'right' && rank === m);
  return { side, rank, shapes, rotates };
}

/**
 * The leading singular vectors of the gradient, from the library. At full rank the library leaves the factor out,
 * whereas the official code still rotates: {@link rotation}.
 *
 * @param keepsState Momentum that is kept from one subspace to the next depends on the signs of the singular vectors,
 *   which are nobody's to predict: they are taken from the recording.
 */
export function singularVectors(factors: DenseFactors, recording: Recording, keepsState: boolean): Projector {
  const { side, rank, shapes } = factors;
  const projector = factors.rotates ? rotation(side, rank) : svd({ rank, side });
  if (!keepsState || recording.refreshes < 2 || rank === 0) return projector;
  return alignedTo(projector, refreshIndex => recording.factorsAt(refreshIndex, side, shapes));
}

/** The recorded bases. */
export function recordedBases({ side, shapes }: DenseFactors, recording: Recording, name: string): Projector {
  const bases = epochsOf(recording).map(refreshIndex => recording.factorsAt(refreshIndex, side, shapes));
  if (side === 'full') return given({ kind: side, basis: { [name]: bases as Required<RecordedFactors>[] } });
  return given({ kind: side, basis: { [name]: bases.map(factors => factors[side]!) } });
}

/**
 * The recorded bases of a random sketch, whose vectors are not orthonormal: only the way down exists, for combines that
 * lift nothing.
 */
export function recordedSketches({ side, rank, shapes }: DenseFactors, recording: Recording): Projector<'sketch'> {
  const factor = side === 'left' ? 'left' : 'right';
  const bases = epochsOf(recording).map(refreshIndex => recording.factorsAt(refreshIndex, factor, shapes)[factor]!);
  return {
    kind: 'recordedSketches',
    options: { side: factor, rank },
    traits: { orthonormal: false, coordinate: false, basisFrom: 'seed' },
    reducedShape: ({ shape }) => (factor === 'left' ? [rank, shape[1]!] : [shape[0]!, rank]),
    keeps: () => (factor === 'left' ? 'column' : 'row'),
    basis: ({ shape }) => ({
      sketch: { shape: [factor === 'left' ? shape[0]! : shape[1]!, rank], dtype: 'float32' },
    }),
    fit: (_g, _previous, { refreshIndex }) => ({ sketch: tensor2d(bases[refreshIndex]!.map(row => [...row])) }),
    down: (g, { sketch }) =>
      tidy(() => {
        if (factor === 'right') return matMul(g as Tensor2D, sketch as Tensor2D);
        return matMul(transpose(sketch) as Tensor2D, g as Tensor2D);
      }),
    up: () => {
      throw new Error('A sketch has no way back: combine with scaledGradient(), which needs none.');
    },
  };
}

/** @throws InvalidOptionError unless every recorded basis selects coordinates, as `proj_type` randperm does. */
export function requirePermutations({ side, shapes }: DenseFactors, recording: Recording, name: string): void {
  for (const refreshIndex of epochsOf(recording)) {
    for (const factor of Object.values(recording.factorsAt(refreshIndex, side, shapes)) as number[][][]) {
      const entries = factor.flat();
      if (entries.every(x => x === 0 || x === 1)) continue;
      throw new InvalidOptionError({
        parameter: `recorded basis of "${name}"`,
        found: entries.find(x => x !== 0 && x !== 1),
        expected: 'zeros and ones, because proj_type is randperm',
      });
    }
  }
}

function epochsOf(recording: Recording): number[] {
  return Array.from({ length: recording.refreshes }, (_, refreshIndex) => refreshIndex);
}

/**
 * Singular vectors with every factor kept, also one that is square: down(G) = Uᵀ G V. The library's `svd` leaves a
 * square factor out, since it only turns coordinates; rules such as Adam take other steps in turned coordinates, and the
 * official code turns them.
 */
function rotation(side: ResolvedSide, rank: number): Projector<Factor> {
  const [left, right] = [side !== 'right', side !== 'left'];
  return {
    kind: 'rotation',
    options: { side, rank },
    traits: { orthonormal: true, coordinate: false, basisFrom: 'gradient' },
    reducedShape: ({ shape }): Shape => [left ? rank : shape[0]!, right ? rank : shape[1]!],
    keeps: () => (left === right ? null : left ? 'column' : 'row'),
    basis: ({ shape }) =>
      factors<BasisSpec>(
        left ? { shape: [shape[0]!, rank], dtype: 'float32' } : undefined,
        right ? { shape: [shape[1]!, rank], dtype: 'float32' } : undefined,
      ),
    fit: g => {
      const matrix = g as Tensor2D;
      if (!left) return factors<Tensor>(undefined, leadingSubspace(matrix, 'right', { rank, method: 'exact' }));
      if (!right) return factors<Tensor>(leadingSubspace(matrix, 'left', { rank, method: 'exact' }), undefined);
      const triplets = leadingSingularTriplets(matrix, { rank, method: 'exact' });
      triplets.values.dispose();
      return factors<Tensor>(triplets.left, triplets.right);
    },
    down: (g, { left: u, right: v }: Partial<Basis<Factor>>) =>
      tidy(() => {
        const lower = u === undefined ? g : matMul(transpose(u) as Tensor2D, g as Tensor2D);
        return v === undefined ? lower : matMul(lower as Tensor2D, v as Tensor2D);
      }),
    up: (x, { left: u, right: v }: Partial<Basis<Factor>>) =>
      tidy(() => {
        const upper = u === undefined ? x : matMul(u as Tensor2D, x as Tensor2D);
        return v === undefined ? upper : matMul(upper as Tensor2D, transpose(v) as Tensor2D);
      }),
  };
}

/** Names the factors that there are. */
function factors<T>(left: T | undefined, right: T | undefined): Record<Factor, T> {
  return { ...(left === undefined ? {} : { left }), ...(right === undefined ? {} : { right }) } as Record<Factor, T>;
}

/**
 * A projector whose basis vectors get the signs of recorded ones and are otherwise its own. Singular vectors are defined
 * up to their sign only, and state that survives a refresh keeps its coordinates but not their meaning.
 */
function alignedTo(projector: Projector, recordedAt: (refreshIndex: number) => RecordedFactors): Projector {
  return {
    ...projector,
    kind: 'aligned',
    options: { projector: { kind: projector.kind, options: projector.options } },
    fit: (g, previous, context) => {
      const recorded = recordedAt(context.refreshIndex);
      const fitted = projector.fit(g, previous, context);
      return Object.fromEntries(
        Object.entries(fitted).map(([name, factor]) => {
          const turned = withSignsOf(factor as Tensor2D, recorded[name as 'left' | 'right']!);
          factor.dispose();
          return [name, turned];
        }),
      );
    },
  };
}

/** Multiplies every column by ±1 so that its inner product with the recorded column is not negative. */
function withSignsOf(factor: Tensor2D, recorded: readonly (readonly number[])[]): Tensor {
  return tidy(() => {
    const inner = sum(mul(factor, tensor2d(recorded.map(row => [...row]))), 0, true);
    return mul(factor, sub(1, mul(2, cast(less(inner, 0), 'float32'))));
  });
}

export type CoordinateChoice = 'columns' | 'rows' | 'randk';

/** The recorded coordinates of every parameter, by name and refresh. */
export type RecordedIndices = Readonly<Record<string, readonly (readonly number[])[]>>;

const KINDS = { columns: 'columns', rows: 'rows', randk: 'randK' } as const;

/** Reads the recorded coordinates and checks that there are trunc(ρ · count) of them, as the official code draws. */
export function recordedIndices(
  choice: CoordinateChoice,
  density: number,
  parameters: readonly { readonly parameter: TrajectoryParameter; readonly recording: Recording }[],
): RecordedIndices {
  return Object.fromEntries(
    parameters.map(({ parameter, recording }) => {
      const [m, n] = requireMatrix(parameter);
      const count = Math.trunc({ columns: n, rows: m, randk: m * n }[choice] * density);
      const refreshes = Array.from({ length: recording.refreshes }, (_, refreshIndex) =>
        recording.indicesAt(refreshIndex, count),
      );
      return [parameter.name, refreshes];
    }),
  );
}

/**
 * A projector onto recorded coordinates. The library's `given` sorts them, which changes nothing as long as the state
 * starts anew with them; state that is kept stays in the place of an index in the official list, so then order matters.
 */
export function recordedCoordinates(
  choice: CoordinateChoice,
  indices: RecordedIndices,
  keepsState: boolean,
): Projector {
  return keepsState ? inOrder(choice, indices) : given({ kind: KINDS[choice], indices });
}

function inOrder(choice: CoordinateChoice, indices: RecordedIndices): Projector<'positions'> {
  const count = (name: string): number => indices[name]![0]!.length;
  return {
    kind: 'inOrder',
    options: { choice, indices },
    // As a coordinate projector it would promise ascending order.
    traits: { orthonormal: true, coordinate: false, basisFrom: 'seed' },
    reducedShape: ({ name, shape }) => {
      if (choice === 'randk') return [count(name)];
      return choice === 'rows' ? [count(name), shape[1]!] : [shape[0]!, count(name)];
    },
    basis: ({ name }) => ({ positions: { shape: [count(name)], dtype: 'int32' } }),
    fit: (_g, _previous, { site, refreshIndex }) => ({
      positions: tensor1d([...indices[site.name]![refreshIndex]!], 'int32'),
    }),
    down: (g, { positions }) => {
      if (choice === 'randk') return tidy(() => gather(reshape(g, [g.size]), positions));
      return gather(g, positions, choice === 'rows' ? 0 : 1);
    },
    up: (x, { positions }, { shape }) =>
      tidy(() => {
        const [m, n] = [shape[0]!, shape[1]!];
        if (choice === 'rows') return put(x, positions, [m, n]);
        if (choice === 'columns') return transpose(put(transpose(x), positions, [n, m]));
        return reshape(put(x, positions, [m * n]), [m, n]);
      }),
  };
}

function put(slices: Tensor, positions: Tensor, shape: number[]): Tensor {
  return scatterND(expandDims(positions, 1), slices, shape);
}

/** A projectable parameter and what is on record of it. */
export interface RecordedBlock {
  readonly parameter: TrajectoryParameter;
  readonly recording: Recording;
}

/** Blocks drawn at random, of which the recording knows which they were. */
export function recordedBlocks(density: number, blocks: readonly RecordedBlock[]): Projector<never> {
  const recordings = new Map(blocks.map(({ parameter, recording }) => [parameter.name, recording]));
  const wanted = roundHalfToEven(density * blocks.length);
  for (let refreshIndex = 0; refreshIndex < blocks[0]!.recording.refreshes; refreshIndex++) {
    const flags = blocks.map(({ recording }) => recording.activeAt(refreshIndex));
    const active = flags.filter(flag => flag === true).length;
    if (active === wanted && !flags.includes(null)) continue;
    throw new InvalidOptionError({
      parameter: `recorded blocks of refresh ${refreshIndex}`,
      found: flags,
      expected: `a flag for every block, ${wanted} of them true, because the density is ${density}`,
    });
  }
  return {
    kind: 'recordedBlocks',
    options: {},
    traits: { orthonormal: true, coordinate: true, basisFrom: 'seed' },
    reducedShape: ({ name, shape }, refreshIndex) => (recordings.get(name)!.activeAt(refreshIndex) ? shape : null),
    basis: () => ({}),
    fit: () => ({}),
    down: g => clone(g),
    up: x => clone(x),
  };
}

/**
 * The library's own choice of blocks, checked against the recording.
 *
 * @param inOneStep Whether all blocks get their first gradient in the same step. An optimizer learns of its parameters
 *   from their gradients; if some come later, the projector is told of the whole group from the start.
 * @throws InvalidOptionError where the library activates another block than the official code did.
 */
export function orderedBlocks(
  density: number,
  order: Exclude<BlockOrder, 'random' | 'shuffled'>,
  blocks: readonly RecordedBlock[],
  inOneStep: boolean,
): Projector<never> {
  const members = blocks.map(({ parameter: { name, shape } }) => ({ name, shape }));
  const projector = blockwise({ density, order });
  blocks.forEach(({ parameter: { name, shape }, recording }, index) => {
    const site = { ...soleSite(name, shape), members, index };
    projector.check?.(site);
    for (let refreshIndex = 0; refreshIndex < recording.refreshes; refreshIndex++) {
      const recorded = recording.activeAt(refreshIndex);
      const ours = projector.reducedShape(site, refreshIndex) !== null;
      if (recorded === null || recorded === ours) continue;
      throw new InvalidOptionError({
        parameter: `block "${name}" in refresh ${refreshIndex}`,
        found: ours ? 'active' : 'not active',
        expected: recorded ? 'active, as recorded' : 'not active, as recorded',
      });
    }
  });
  return inOneStep ? projector : amongAll(projector, members);
}

function amongAll(projector: Projector<never>, members: readonly SiteMember[]): Projector<never> {
  const index = new Map(members.map(({ name }, i) => [name, i]));
  return {
    ...projector,
    reducedShape: (site, refreshIndex) =>
      projector.reducedShape({ ...site, members, index: index.get(site.name)! }, refreshIndex),
    check: () => {},
  };
}
