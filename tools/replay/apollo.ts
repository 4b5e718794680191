// The class of APOLLO's code as compositions, one per parameter.
import { type Group, limitGrowth, scaled, scaledGradient, subspace } from '@frugaljs/composer';
import { type Projector, type Rule, UnknownNameError } from '@frugaljs/core';
import { ConfigReader, type Plan, type PlanOptions } from './official-class.js';
import { ownRefreshes, Recording, requireNoSubspaces } from './recording.js';
import {
  type DenseFactors,
  denseFactors,
  type OfficialSide,
  type ResolvedSide,
  recordedBases,
  recordedSketches,
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

/** The keys of a parameter group that APOLLO's code projects. */
interface ApolloGroup {
  readonly rank: number;
  readonly gap: number;
  readonly scale: number;
  readonly per: 'channel' | 'tensor';
  readonly projection: 'random' | 'svd';
  readonly side: Exclude<OfficialSide, 'full'>;
}

/** What the class is told once for all groups. */
interface ApolloSwitches {
  /** √scale comes before the limiter of growth: another number only where the 1e-8 in that counts. */
  readonly scaleFront: boolean;
  readonly limits: boolean;
}

/** Expresses `AdamW` of APOLLO's code: the raw gradient, scaled as Adam scales a sketch of it. */
export function planApollo(className: string, trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  if (className !== 'AdamW') {
    const found = `unsupported class APOLLO ${className}`;
    throw new UnknownNameError({ parameter: 'official', found, expected: 'APOLLO AdamW' });
  }
  const config = new ConfigReader('APOLLO AdamW', trajectory.config);
  const base = readTransformersAdamW(config);
  const switches = {
    scaleFront: config.boolean('scale_front', false),
    limits: !config.boolean('disable_nl', false),
  };
  const group = readGroup(config);
  config.finish();
  if (group === null) requireNoSubspaces(trajectory);
  return planEachParameter(trajectory, base, i => {
    if (group === null || !trajectory.params[i]!.projectable) return { use: plainAdamW(base) };
    return { use: projected(group, switches, base, config, trajectory, i, options) } satisfies Pick<Group, 'use'>;
  });
}

/** The keys that make the official code project; without `rank` it does not. */
function readGroup(config: ConfigReader): ApolloGroup | null {
  if (!config.has('rank')) return null;
  requireGroupKeys(config, ['update_proj_gap', 'scale', 'scale_type', 'proj', 'proj_type']);
  const side = config.oneOf('proj_type', 'std', ['std', 'reverse_std', 'right', 'left', 'full']);
  if (side === 'full') config.refuse('proj_type', 'std, reverse_std, right or left; full is not supported');
  return {
    rank: config.integer('rank', 1, 1),
    gap: config.integer('update_proj_gap', 0, 1),
    scale: config.number('scale', 1, '[0, Infinity)'),
    per: config.oneOf('scale_type', 'channel', ['channel', 'tensor']),
    projection: config.oneOf('proj', 'random', ['random', 'svd']),
    side,
  };
}

function projected(
  { rank, gap, scale, per, projection, side: named }: ApolloGroup,
  { scaleFront, limits }: ApolloSwitches,
  base: TransformersAdamW,
  config: ConfigReader,
  trajectory: TrajectoryCase,
  index: number,
  options: PlanOptions,
): Rule {
  const parameter = trajectory.params[index]!;
  const shape = requireMatrix(parameter);
  const side = resolveSide(named, shape);
  if (per === 'channel' && !fits(side, shape)) {
    config.refuse(
      'proj_type',
      `a side that projects the smaller dimension of shape [${shape}], because the official norms run along that one`,
    );
  }
  const factors = denseFactors(side, rank, projection, shape);
  const recording = new Recording(trajectory, index, parameter.name, ownRefreshes(trajectory, index, gap));
  const root = Math.sqrt(scale);
  const gauged = subspace({
    projector: projectorOf(projection, factors, recording, parameter.name, options),
    rule: uncorrectedAdamW(base),
    combine: scaledGradient({ per, scale: scaleFront ? root : 1 }),
    refresh: { every: gap },
    onRefresh: 'keep',
  });
  const limited = limits ? limitGrowth(gauged, { factor: 1.01 }) : gauged;
  return withCorrection(scaleFront ? limited : scaled(limited, root), base);
}

function projectorOf(
  projection: ApolloGroup['projection'],
  factors: DenseFactors,
  recording: Recording,
  name: string,
  { recordedBases: fromRecording }: PlanOptions,
): Projector {
  if (projection === 'random') return recordedSketches(factors, recording);
  return fromRecording ? recordedBases(factors, recording, name) : singularVectors(factors, recording, true);
}

/** The official code takes norms along the smaller dimension of the parameter, wherever it projects. */
function fits(side: ResolvedSide, [m, n]: readonly [number, number]): boolean {
  return side === (m < n ? 'left' : 'right');
}
