import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Runs a program in a process of its own, which finds no driver. */
function withoutDriver(program: string): string {
  const node = ['--conditions=@frugaljs/source', '--import', 'tsx', '--input-type=module', '--eval', program];
  const env = { ...process.env, VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
  return spawnSync(process.execPath, node, { cwd: ROOT, encoding: 'utf8', env }).stdout;
}

test.runIf(process.platform === 'linux')('without a driver the import fails with what to install', () => {
  const found = withoutDriver(`
    try { await import('@frugaljs/backend-webgpu/node'); }
    catch (error) { console.log(error.name, error.code, error.message); }`);
  expect(found).toMatch(/^WebGpuUnavailableError backend-unavailable webgpu: expected a Vulkan driver/);
  expect(found).toMatch(/VK_DRIVER_FILES=\/nowhere\.json.*vk_swiftshader_icd\.json.*backend wasm/);
});

test('without WebGPU the package can be imported, and starting it says what is missing', () => {
  const found = withoutDriver(`
    const { startWebGpu } = await import('@frugaljs/backend-webgpu');
    try { await startWebGpu(); }
    catch (error) { console.log(error.name, error.message); }`);
  expect(found).toMatch(
    /^WebGpuUnavailableError navigator\.gpu: expected WebGPU, found nothing\..*backend-webgpu\/node/,
  );
});
