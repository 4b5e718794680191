import { expect, test } from 'vitest';
import { runModule } from '../../../tools/test-support/node-process.js';

/** Runs a program in a process of its own, which finds no driver. */
function withoutDriver(program: string): Promise<string> {
  return runModule(program, { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' });
}

test.runIf(process.platform === 'linux')('without a driver the import fails with what to install', async () => {
  const found = await withoutDriver(`
    try { await import('@frugaljs/backend-webgpu/node'); }
    catch (error) { console.log(error.name, error.code, error.message); }`);
  expect(found).toMatch(/^WebGpuUnavailableError backend-unavailable webgpu: expected a Vulkan driver/);
  expect(found).toMatch(/VK_DRIVER_FILES=\/nowhere\.json.*vk_swiftshader_icd\.json.*backend wasm/);
});

test('without WebGPU the package can be imported, and starting it says what is missing', async () => {
  const found = await withoutDriver(`
    const { startWebGpu } = await import('@frugaljs/backend-webgpu');
    try { await startWebGpu(); }
    catch (error) { console.log(error.name, error.message); }`);
  expect(found).toMatch(
    /^WebGpuUnavailableError navigator\.gpu: expected WebGPU, found nothing\..*backend-webgpu\/node/,
  );
});
