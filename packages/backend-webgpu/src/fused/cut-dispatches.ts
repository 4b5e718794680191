import type { Dispatcher, Window } from '../device/dispatcher.js';
import type { Field, Shader } from '../wgsl/shader.js';
import type { DeviceLimits } from './device-limits.js';
import { type Pass, THREADS } from './passes.js';

/**
 * Dispatches that are cut in several where the device's limits ask for it. Which part of the grid a dispatch has stands in
 * the numbers `base`, `base y` and `count`, which are set here.
 */
export class CutDispatches {
  constructor(
    readonly dispatcher: Dispatcher,
    readonly limits: DeviceLimits,
  ) {}

  /**
   * A pass over `count` entries of any position, with as many of them bound at a time as the device can.
   *
   * @param width Entries per thread.
   */
  entries(
    { shader, isShared }: Pass,
    buffers: readonly GPUBuffer[],
    numbers: Record<string, number>,
    numberFor: (field: Field) => number,
    width: number,
  ): void {
    const count = numbers['count']!;
    const { bindingBytes } = this.limits;
    const alignment = this.dispatcher.device.device.limits.minStorageBufferOffsetAlignment;
    const stretch =
      4 * count <= bindingBytes ? count : Math.floor(bindingBytes / Math.max(alignment, 4 * THREADS)) * THREADS;
    for (let start = 0; start < count; start += stretch) {
      const length = Math.min(stretch, count - start);
      const windows =
        length === count
          ? []
          : isShared.map((shared): Window | undefined =>
              shared ? undefined : { offset: 4 * start, size: 4 * length },
            );
      numbers['count'] = length / width;
      this.alongX(shader, buffers, [Math.ceil(length / width / THREADS), 1], numbers, numberFor, windows);
    }
  }

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
    windows?: readonly (Window | undefined)[],
  ): void {
    for (let base = 0; base < across; base += this.limits.groups) {
      numbers['base'] = base;
      const grid = [Math.min(this.limits.groups, across - base), down, 1] as const;
      this.dispatcher.dispatch(shader, buffers, numberFor, grid, windows);
    }
  }
}
