import { getKernelsForBackend, type KernelFunc } from '@tensorflow/tfjs-core';

/** Time on a processor and number of calls of one kernel. */
export interface KernelTime {
  readonly kernel: string;
  readonly milliseconds: number;
  readonly calls: number;
}

/**
 * Times every registered kernel of the WASM backend, which runs synchronously, while the work runs; slowest first.
 * Kernels that a kernel calls through the registry count twice.
 */
export function profileKernels(work: () => void): KernelTime[] {
  const totals = new Map<string, { milliseconds: number; calls: number }>();
  const undo: (() => void)[] = [];
  for (const config of getKernelsForBackend('wasm')) {
    const { kernelFunc } = config;
    const total = { milliseconds: 0, calls: 0 };
    totals.set(config.kernelName, total);
    const timed: KernelFunc = args => {
      const start = process.cpuUsage();
      const result = kernelFunc(args);
      const { user, system } = process.cpuUsage(start);
      total.milliseconds += (user + system) / 1000;
      total.calls++;
      return result;
    };
    config.kernelFunc = timed;
    undo.push(() => {
      config.kernelFunc = kernelFunc;
    });
  }
  try {
    work();
  } finally {
    for (const restore of undo) restore();
  }
  return Array.from(totals, ([kernel, total]) => ({ kernel, ...total }))
    .filter(({ calls }) => calls > 0)
    .sort((a, b) => b.milliseconds - a.milliseconds);
}
