import { InvalidOptionError, type Projector } from '@frugaljs/core';
import { given, svd } from '@frugaljs/projectors';
import { alignedTo } from './aligned.js';
import type { RecordedFactors, Recording } from './recording.js';
import { rotation } from './rotation.js';
import type { DenseFactors } from './side.js';

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
