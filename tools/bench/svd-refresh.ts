import { soleSite } from '@frugaljs/core';
import { leadingSubspace } from '@frugaljs/linalg';
import { svd } from '@frugaljs/projectors';
import { dispose, matMul, square, sum, type Tensor, type Tensor2D, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { realGradients } from '../../packages/linalg/bench/real-gradient.js';
import { peakBytes } from './measure.js';
import type { Run, Timer } from './runs.js';

/** Side of the matrix that is decomposed, whatever the size of the others. */
const SIZE = 1024;
const RANK = 256;
/** Steps of training after which gradients are taken: the first one gives the basis that the second starts from. */
const STEPS = [10, 20] as const;

/** One real gradient and the basis of an earlier one, outside of any backend, and what no subspace can surpass. */
export interface RefreshProblem {
  readonly gradient: Float32Array;
  readonly previous: Float32Array;
  /** Sum of the squares of the 256 largest singular values. */
  readonly best: number;
}

/** Trains a character model on a text and takes two gradients of its 1024 × 1024 layer on the way. */
export function refreshProblem(textFile: string): RefreshProblem {
  const [earlier, gradient] = realGradients(textFile, STEPS) as [Tensor2D, Tensor2D];
  const problem = tidy(() => {
    const previous = leadingSubspace(earlier, 'right', { rank: RANK });
    const exact = leadingSubspace(gradient, 'right', { rank: RANK, method: 'exact' });
    return {
      gradient: gradient.dataSync<'float32'>().slice(),
      previous: previous.dataSync<'float32'>().slice(),
      best: energy(gradient, exact).dataSync()[0]!,
    };
  });
  dispose([earlier, gradient]);
  return problem;
}

/** A refresh of the projector svd, from the basis of the refresh before (`svd-refresh`) or from nothing. */
export class SvdRefresh implements Run {
  readonly method: string;
  readonly params: number = SIZE * SIZE;
  private readonly projector: ReturnType<typeof svd> = svd({ rank: RANK });
  private readonly site: ReturnType<typeof soleSite> = soleSite('refreshed', [SIZE, SIZE]);

  private readonly gradient: Tensor2D;
  private readonly previous: Tensor2D;
  private readonly best: number;

  constructor(
    readonly backend: string,
    problem: RefreshProblem,
    private readonly warm: boolean,
    private readonly timer: Timer,
  ) {
    this.gradient = tensor2d(problem.gradient, [SIZE, SIZE]);
    this.previous = tensor2d(problem.previous, [SIZE, RANK]);
    this.best = problem.best;
    this.method = warm ? 'svd-refresh' : 'svd-refresh-cold';
  }

  time(): number | Promise<number> {
    return this.timer(() => void tidy(() => void this.refresh()));
  }

  /** The share of the energy of the best subspace that this one captures. */
  async capturedEnergy(): Promise<number> {
    const captured = tidy(() => energy(this.gradient, this.refresh()));
    const [value] = await captured.data();
    captured.dispose();
    return value! / this.best;
  }

  bytes(): null {
    return null;
  }

  kernels(): string {
    return `subspace iteration, rank ${RANK}`;
  }

  peakBytes(): number {
    return peakBytes(() => void tidy(() => void this.refresh()));
  }

  dispose(): void {
    dispose([this.gradient, this.previous]);
  }

  private refresh(): Tensor2D {
    const start = this.warm ? ({ right: this.previous } as Parameters<typeof this.projector.fit>[1]) : null;
    return this.projector.fit(this.gradient, start, { site: this.site, refreshIndex: 1 }).right as Tensor2D;
  }
}

/** ‖G V‖². */
function energy(g: Tensor2D, basis: Tensor2D): Tensor {
  return tidy(() => sum(square(matMul(g, basis))));
}
