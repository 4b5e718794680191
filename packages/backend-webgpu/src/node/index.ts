/**
 * `@frugaljs/backend-webgpu/node`: WebGPU in Node, through the package `webgpu` (Dawn). Importing it installs
 * `navigator.gpu` and registers the tfjs backend `webgpu` with its kernels.
 */
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { registerWebGpu, WebGpuUnavailableError } from '../start.js';

export * from '../index.js';

/** Where Chromium's packages put the description of SwiftShader, a Vulkan driver in software. */
const SOFTWARE_DRIVERS: readonly string[] = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/usr/lib64/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
];

/** Keeps a library in memory when the loader of Node lets go of it. */
const RTLD_NODELETE = 0x1000;

let installed: Promise<string> | null = null;

/**
 * Defines `navigator.gpu` by the package `webgpu`, before tfjs's backend looks for it. Does nothing where it is defined.
 *
 * Takes the drivers that the system's Vulkan loader finds, or those that `VK_DRIVER_FILES` names. When there is no
 * adapter and a SwiftShader of Chromium is found, takes that and says so on standard error.
 *
 * @returns The name of the adapter.
 * @throws WebGpuUnavailableError without the package, or without an adapter.
 */
export function installWebGpu(): Promise<string> {
  installed ??= install();
  return installed;
}

/** The description file of a SwiftShader of Chromium; `null` when none is found. */
export function findSoftwareDriver(): string | null {
  return SOFTWARE_DRIVERS.find(file => existsSync(file)) ?? null;
}

async function install(): Promise<string> {
  if ((globalThis.navigator as Navigator | undefined)?.gpu !== undefined) {
    const adapter = await navigator.gpu.requestAdapter();
    return adapter === null ? 'none' : nameOf(adapter);
  }
  const { create, globals } = await loadDawn();
  Object.assign(globalThis, globals);
  const given = process.env['VK_DRIVER_FILES'] ?? process.env['VK_ICD_FILENAMES'];
  if (given !== undefined) keepVulkanLoader(given.split(':')[0]!);
  const software = findSoftwareDriver();
  // Without a loader Dawn would print that it misses it.
  const isHopeless = given === undefined && software !== null && !hasVulkanLoader();
  let gpu = isHopeless ? null : create([]);
  let adapter = (await gpu?.requestAdapter()) ?? null;
  if (adapter === null && given === undefined && software !== null) {
    process.env['VK_DRIVER_FILES'] = software;
    keepVulkanLoader(software);
    gpu = create([]);
    adapter = await gpu.requestAdapter();
    if (adapter !== null) process.stderr.write(`webgpu: no graphics driver; computing in software with ${software}\n`);
  }
  if (adapter === null) throw noAdapter(given);
  // Node 21 and later have a navigator of their own, which is read-only but extensible.
  const existing = (globalThis as { navigator?: object }).navigator;
  if (existing === undefined) Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  else Object.defineProperty(existing, 'gpu', { value: gpu, configurable: true });
  return nameOf(adapter);
}

/** False on a Linux where no Vulkan loader is in the usual places. */
function hasVulkanLoader(): boolean {
  if (process.platform !== 'linux' || process.env['LD_LIBRARY_PATH'] !== undefined) return true;
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const folders = [
    `/usr/lib/${machine}-linux-gnu`,
    `/lib/${machine}-linux-gnu`,
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/lib',
  ];
  return folders.some(folder => existsSync(join(folder, 'libvulkan.so.1')));
}

async function loadDawn(): Promise<{ create(options: string[]): GPU; globals: object }> {
  try {
    return (await import('webgpu')) as unknown as { create(options: string[]): GPU; globals: object };
  } catch (error) {
    throw new WebGpuUnavailableError({
      parameter: 'webgpu',
      found: error instanceof Error ? error.message : error,
      expected: 'the package "webgpu", which brings WebGPU to Node',
      advice: 'Install it beside this one: npm install webgpu.',
    });
  }
}

/**
 * Chromium brings the Vulkan loader along in its own folder, where the system does not look. Loaded by its path, it is
 * found by its name from then on.
 */
function keepVulkanLoader(driverFile: string): void {
  if (process.platform !== 'linux') return;
  const folder = dirname(resolve(driverFile));
  const loader = join(folder, 'libvulkan.so.1');
  if (!existsSync(loader) || !existsSync(driverFile) || !readFileSync(driverFile, 'utf8').includes('library_path'))
    return;
  try {
    process.dlopen({ exports: {} }, loader, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch {
    // Node expects an addon and says so; the library is loaded all the same, or is not, and then there is no adapter.
  }
}

function nameOf(adapter: GPUAdapter): string {
  const { vendor, architecture, device, description } = (adapter as unknown as { info: Record<string, string> }).info;
  return [vendor, architecture, description || device].filter(part => part).join(' ');
}

function noAdapter(given: string | undefined): WebGpuUnavailableError {
  return new WebGpuUnavailableError({
    parameter: 'webgpu',
    found: given === undefined ? 'no adapter' : `no adapter with VK_DRIVER_FILES=${given}`,
    expected: 'a Vulkan driver (on Linux), Direct3D 12 (on Windows) or Metal (on macOS)',
    advice:
      'Install the driver of the graphics card and libvulkan1; or, to compute in software, install Chromium and set VK_DRIVER_FILES to its vk_swiftshader_icd.json. Or take the backend wasm.',
  });
}

// At the end, where everything above has its value.
await installWebGpu();
registerWebGpu();
