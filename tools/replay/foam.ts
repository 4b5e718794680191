// The optimizer of FOAM's code as compositions, one per parameter.
import { UnknownNameError } from '@frugaljs/core';
import { foam } from '@frugaljs/state-full';
import { ConfigReader, type Plan } from './official-class.js';
import { requireNoSubspaces } from './recording.js';
import type { TrajectoryCase } from './trajectory-file.js';
import { plainAdamW, planEachParameter, readTransformersAdamW } from './transformers-adam-w.js';

/**
 * Expresses FOAM: parameters that are projectable share their moments among 2ˡ neighbors along the last axis, and the step
 * is multiplied by `scale`, α of the paper; all others are trained by AdamW.
 */
export function planFoam(className: string, trajectory: TrajectoryCase): readonly Plan[] {
  if (className !== 'FOAM') {
    const found = `unsupported class FOAM ${className}`;
    throw new UnknownNameError({ parameter: 'official', found, expected: 'FOAM FOAM' });
  }
  const config = new ConfigReader('FOAM FOAM', trajectory.config);
  // Unlike the others; it fits the recorded runs, 1e-6 does not.
  const base = readTransformersAdamW(config, 1e-8);
  const level = config.integer('level', 0, 0);
  const scale = config.number('scale', 1, '[0, Infinity)');
  if (!base.correctBias) config.refuse('correct_bias', 'true; `foam` always corrects its bias');
  if (level > 24) config.refuse('level', 'at most 24');
  config.finish();
  requireNoSubspaces(trajectory);
  const { betas, epsilon } = base;
  return planEachParameter(trajectory, base, i => {
    if (!trajectory.params[i]!.projectable) return { use: plainAdamW(base) };
    return { use: foam({ level, beta1: betas[0], beta2: betas[1], epsilon }), lrScale: scale };
  });
}
