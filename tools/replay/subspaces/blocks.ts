import { InvalidOptionError, type Projector, roundHalfToEven, type SiteMember, soleSite } from '@frugaljs/core';
import { type BlockOrder, blockwise } from '@frugaljs/projectors';
import { clone } from '@tensorflow/tfjs-core';
import type { TrajectoryParameter } from '../trajectory-file.js';
import type { Recording } from './recording.js';

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
