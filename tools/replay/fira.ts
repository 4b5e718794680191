// The class of Fira's code as compositions, one per parameter.
import { type Group, scaledResidual, subspace } from '@frugaljs/composer';
import { UnknownNameError } from '@frugaljs/core';
import { ConfigReader, type Plan, type PlanOptions } from './official-class.js';
import { ownRefreshes, Recording, requireNoSubspaces } from './recording.js';
import {
  denseFactors,
  type OfficialSide,
  type ResolvedSide,
  recordedBases,
  requireMatrix,
  resolveSide,
  singularVectors,
} from './subspaces.js';
import type { TrajectoryCase } from './trajectory-file.js';
import {
  plainAdamW,
  planEachParameter,
  readTransformersAdamW,
  requireGroupKeys,
  type TransformersAdamW,
  uncorrectedAdamW,
  withCorrection,
} from './transformers-adam-w.js';

/** The keys of a parameter group that Fira's code projects. */
interface FiraGroup {
  readonly rank: number;
  readonly gap: number;
  readonly alpha: number;
  readonly side: Exclude<OfficialSide, 'full'>;
}

/**
 * Expresses `AdamW` of Fira's code: Adam on the singular directions, and the raw gradient of the rest, scaled as Adam
 * scales its row or column and held back where it grows.
 */
export function planFira(className: string, trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  if (className !== 'AdamW') {
    const found = `unsupported class Fira ${className}`;
    throw new UnknownNameError({ parameter: 'official', found, expected: 'Fira AdamW' });
  }
  const config = new ConfigReader('Fira AdamW', trajectory.config);
  const base = readTransformersAdamW(config);
  const group = readGroup(config);
  config.finish();
  if (group === null) requireNoSubspaces(trajectory);
  return planEachParameter(trajectory, base, i => {
    if (group === null || !trajectory.params[i]!.projectable) return { use: plainAdamW(base) };
    return projected(group, base, config, trajectory, i, options);
  });
}

/** The keys that make the official code project; without `rank` it does not. */
function readGroup(config: ConfigReader): FiraGroup | null {
  if (!config.has('rank')) return null;
  requireGroupKeys(config, ['update_proj_gap', 'alpha', 'proj_type']);
  const side = config.oneOf('proj_type', 'std', ['std', 'reverse_std', 'right', 'left', 'full']);
  if (side === 'full') {
    config.refuse(
      'proj_type',
      'std, reverse_std, right or left; with full the official scaling does not fit the gradient',
    );
  }
  return {
    // Norms of nothing make no scaling.
    rank: config.integer('rank', 1, 1),
    gap: config.integer('update_proj_gap', 0, 1),
    alpha: config.number('alpha', 1, '[0, Infinity)'),
    side,
  };
}

function projected(
  { rank: wanted, gap, alpha, side: named }: FiraGroup,
  base: TransformersAdamW,
  config: ConfigReader,
  trajectory: TrajectoryCase,
  index: number,
  { recordedBases: fromRecording }: PlanOptions,
): Pick<Group, 'use'> {
  const parameter = trajectory.params[index]!;
  const shape = requireMatrix(parameter);
  const side = resolveSide(named, shape);
  const factors = denseFactors(side, wanted, 'svd', shape);
  if (!fits(named, side, factors.rank, shape)) {
    config.refuse('rank', `a rank below ${Math.min(...shape)} for proj_type ${named} and shape [${shape}]`);
  }
  const recording = new Recording(trajectory, index, parameter.name, ownRefreshes(trajectory, index, gap));
  const projector = fromRecording
    ? recordedBases(factors, recording, parameter.name)
    : singularVectors(factors, recording, true);
  const rule = subspace({
    projector,
    rule: uncorrectedAdamW(base),
    // The official code has α in the way back from the subspace, and so in the residual, too.
    combine: scaledResidual({ scale: alpha, share: alpha, factor: 1.01 }),
    refresh: { every: gap },
    onRefresh: 'keep',
  });
  return { use: withCorrection(rule, base) };
}

/**
 * Whether the official code finds its way: it tells the axis of the norms, and with `reverse_std` the way back, from the
 * shape of the projected gradient, which a square one does not tell.
 */
function fits(named: OfficialSide, side: ResolvedSide, rank: number, [m, n]: readonly [number, number]): boolean {
  if (side === 'left') return rank < n;
  return named !== 'reverse_std' || rank < m;
}
