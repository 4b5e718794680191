import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { describe } from 'vitest';

/** Why there is no WebGPU here; `null` when there is. */
export const missing: string | null = await start();

async function start(): Promise<string | null> {
  tf.env().set('PROD', true);
  try {
    const { startWebGpu } = await import('@frugaljs/backend-webgpu/node');
    await startWebGpu();
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`skipped: ${reason}`);
    return reason;
  }
}

/** A suite that needs a device. */
export function describeOnDevice(name: string, suite: () => void): void {
  if (missing === null) describe(name, suite);
  else describe.skip(`${name} (${missing})`, suite);
}
