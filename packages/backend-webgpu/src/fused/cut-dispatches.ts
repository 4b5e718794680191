import type { Dispatcher } from '../device/dispatcher.js';
import type { Field, Shader } from '../wgsl/shader.js';
import type { DeviceLimits } from './device-limits.js';

/**
 * Dispatches that are cut in several where the device's limits ask for it. Which part of the grid a dispatch has stands in
 * the numbers `base` and `base y`, which are set here.
 */
export class CutDispatches {
  constructor(
    readonly dispatcher: Dispatcher,
    readonly limits: DeviceLimits,
  ) {}

  /** A grid of workgroups, cut along both sides. */
  grid(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    [across, down]: readonly [number, number],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
  ): void {
    for (let y = 0; y < down; y += this.limits.groups) {
      numbers['base y'] = y;
      this.alongX(shader, buffers, [across, Math.min(this.limits.groups, down - y)], numbers, numberFor);
    }
  }

  /** A grid of workgroups of which no more are on top of each other than the device allows, cut along the other side. */
  alongX(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    [across, down]: readonly [number, number],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
  ): void {
    for (let base = 0; base < across; base += this.limits.groups) {
      numbers['base'] = base;
      const grid = [Math.min(this.limits.groups, across - base), down, 1] as const;
      this.dispatcher.dispatch(shader, buffers, numberFor, grid);
    }
  }
}
