import { drop, type Group, residual, subspace } from '@frugaljs/composer';
import type { Combine, Projector } from '@frugaljs/core';
import { sgd, signSgd } from '@frugaljs/state-free';
import type { Plan, PlanOptions } from '../plan.js';
import { groupClock } from '../refresh-clock.js';
import { orderedBlocks, type RecordedBlock, recordedBlocks } from '../subspaces/blocks.js';
import { recordedCoordinates, recordedIndices } from '../subspaces/coordinates.js';
import { recordedBases, requirePermutations, singularVectors } from '../subspaces/dense.js';
import { Recording, requireNoSubspaces } from '../subspaces/recording.js';
import { denseFactors, rankOfDensity, requireMatrix, resolveSide } from '../subspaces/side.js';
import type { TrajectoryCase } from '../trajectory-file.js';
import { ruleFor } from './base-rule.js';
import { type FrugalConfig, type Projected, readFrugalConfig } from './frugal-config.js';

/** Parameters that can share a projector. */
interface Share {
  readonly names: readonly string[];
  readonly projector: Projector;
}

/** Expresses a class of FRUGAL's code as one composition. */
export function planFrugal(className: string, trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  const config = readFrugalConfig(className, trajectory.config);
  const { lr: learningRate, projected } = config;
  const parameters = [...trajectory.params.keys()];
  if (projected === null) {
    requireNoSubspaces(trajectory);
    return [{ parameters, composition: { learningRate, groups: [plainClass(config)] } }];
  }

  const plain = trajectory.params.filter(({ projectable }) => !projectable);
  const groups: Group[] = [];
  // Outside the subspaces, too, the projected classes decay W itself and start momentum from it.
  const { base, weightDecay } = config;
  if (plain.length > 0) {
    groups.push({ match: plain.map(({ name }) => name), use: ruleFor(base, 'parameter'), weightDecay, optional: true });
  }
  if (plain.length === parameters.length) return [{ parameters, composition: { learningRate, groups } }];

  const { projection, updateGap } = projected;
  const isBlock = projection.kind === 'Block';
  const resets = projected.resetStatistics || isBlock;
  const { refreshOfStep, updatesBefore } = groupClock(trajectory, updateGap, resets, !isBlock);
  const blocks = trajectory.params.flatMap((parameter, i) =>
    parameter.projectable
      ? [{ parameter, recording: new Recording(trajectory, i, parameter.name, refreshOfStep) }]
      : [],
  );
  for (const { names, projector } of shares(projected, blocks, trajectory, options)) {
    const rule = subspace({
      projector,
      rule: ruleFor(base, isBlock ? 'parameter' : 'gradient'),
      combine: combineOf(projected),
      refresh: { every: updateGap },
      onRefresh: resets ? 'reset' : 'keep',
    });
    groups.push({ match: names, use: rule, lrScale: projected.scale, weightDecay, optional: true });
  }
  return [{ parameters, composition: { learningRate, groups }, updatesBefore }];
}

/** The plain SGD adds its decay to the gradient; AdamW and Lion decay W itself. */
function plainClass({ base, weightDecay }: FrugalConfig): Group {
  if (base.kind === 'SGD') return { use: ruleFor(base, 'parameter', weightDecay) };
  return { use: ruleFor(base, 'parameter'), weightDecay };
}

/** The official code takes the sign of every residual as it is, rounding noise included. */
function combineOf({ inactiveRule, inactiveScale }: Projected): Combine {
  if (inactiveRule === 'no') return drop();
  return residual(inactiveRule === 'sgd' ? sgd() : signSgd(), { scale: inactiveScale, tolerance: 0 });
}

function shares(
  { projection, density, resetStatistics }: Projected,
  blocks: readonly RecordedBlock[],
  { params, steps }: TrajectoryCase,
  options: PlanOptions,
): readonly Share[] {
  const names = blocks.map(({ parameter }) => parameter.name);
  switch (projection.kind) {
    case 'Block': {
      const { order } = projection;
      const inOneStep = params.every(({ projectable }, i) => !projectable || steps[0]!.grads[i] !== null);
      const projector =
        order === 'random' ? recordedBlocks(density, blocks) : orderedBlocks(density, order, blocks, inOneStep);
      return [{ names, projector }];
    }
    case 'Coord': {
      const indices = recordedIndices(projection.choice, density, blocks);
      return [{ names, projector: recordedCoordinates(projection.choice, indices, !resetStatistics) }];
    }
    case 'Galore':
      // Side and rank depend on the shape, so every matrix gets a projector of its own.
      return blocks.map(({ parameter, recording }) => {
        const { type } = projection;
        const shape = requireMatrix(parameter);
        const side = resolveSide(projection.side, shape);
        const factors = denseFactors(side, rankOfDensity(density, side, shape), type, shape);
        const { name } = parameter;
        if (type === 'randperm') requirePermutations(factors, recording, name);
        const fromGradient = type === 'svd' && !options.recordedBases;
        const projector = fromGradient
          ? singularVectors(factors, recording, !resetStatistics)
          : recordedBases(factors, recording, name);
        return { names: [name], projector };
      });
  }
}
