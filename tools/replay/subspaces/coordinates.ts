import type { Projector } from '@frugaljs/core';
import { given } from '@frugaljs/projectors';
import { expandDims, gather, reshape, scatterND, type Tensor, tensor1d, tidy, transpose } from '@tensorflow/tfjs-core';
import type { TrajectoryParameter } from '../trajectory-file.js';
import type { Recording } from './recording.js';
import { requireMatrix } from './side.js';

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
