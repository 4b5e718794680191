import { type KernelSet, kernelsFor } from '@frugaljs/core';
import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import type { PendingVerdict } from '../runtime/gate.js';
import { type DeviceHealth, judgesOnDevice } from './device-health.js';
import { examineGradients } from './gradient-health.js';
import type { VariableGradient } from './gradients.js';
import type { ComposeOptions } from './options.js';
import type { TrainedParameters } from './trained-parameters.js';

/** Where an optimizer is. */
export interface Progress {
  /** Of the next update. */
  readonly learningRate: number;
  /** Made so far. */
  readonly updates: number;
}

/** Makes updates: judges and clips the gradients, then steps every parameter. */
export class Updater {
  constructor(
    private readonly options: ComposeOptions,
    private readonly parameters: TrainedParameters,
    private readonly health: DeviceHealth,
    private readonly progress: Progress,
  ) {}

  /** What updates in place on the current backend; null for the reference path. */
  kernels(): KernelSet | null {
    return this.options.kernels === 'reference' ? null : kernelsFor(getBackend());
  }

  /**
   * Makes one update, or hands it to the device, which may leave it out.
   *
   * @returns False when the update is skipped because a gradient is not finite.
   */
  update(entries: readonly VariableGradient[]): boolean {
    const { clip = {}, onNonFinite = 'throw' } = this.options;
    const gradients = entries.filter(({ name }) => this.parameters.get(name) !== undefined);
    const kernels = this.kernels();
    if (judgesOnDevice(kernels)) {
      const judgement = this.health.examine(gradients, clip, kernels);
      try {
        this.step(gradients, judgement.factor ?? 1, judgement.verdict, kernels);
      } finally {
        judgement.factor?.dispose();
        judgement.verdict?.proceed.dispose();
      }
      kernels?.finish?.();
      this.health.poll();
      return true;
    }
    const { finite, factor } = examineGradients(gradients, clip, onNonFinite, kernels);
    if (finite) this.step(gradients, factor, null, kernels);
    return finite;
  }

  private step(
    gradients: readonly VariableGradient[],
    factor: number | Tensor,
    verdict: PendingVerdict | null,
    kernels: KernelSet | null,
  ): void {
    const { learningRate: rate, updates: update } = this.progress;
    const context = { rate, update, factor, verdict, kernels };
    const stepped = new Set<string>();
    for (const { name, variable, gradient } of gradients) {
      this.parameters.get(name)!.step(variable, gradient, context);
      stepped.add(name);
    }
    for (const [name, parameter] of this.parameters.all()) {
      if (!stepped.has(name)) parameter.bound.release(update);
    }
  }
}
