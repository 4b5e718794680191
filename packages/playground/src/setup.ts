import type { BackendChoice, BackendName, Capabilities, RunSettings } from './protocol.js';

// What the settings of a setup may be, and what its choice of a backend comes to.

/** A whole number of the setup: its name on the page, and what it may be. */
export interface Limits {
  readonly title: string;
  readonly least: number;
  readonly most: number;
}

/** Settings that are whole numbers. */
export type WholeSetting = 'steps' | 'batchSize' | 'sequenceLength' | 'seed' | 'sampleLength';

/** The form says them to the browser, and the outline holds everybody to them. */
export const RUN_LIMITS: Readonly<Record<WholeSetting, Limits>> = {
  steps: { title: 'Steps', least: 2, most: 100_000 },
  batchSize: { title: 'Batch', least: 1, most: 256 },
  sequenceLength: { title: 'Context', least: 2, most: 512 },
  seed: { title: 'Seed', least: 0, most: Number.MAX_SAFE_INTEGER },
  sampleLength: { title: 'Length', least: 1, most: 1000 },
};

/** What is wrong with a whole number of the setup, in a sentence; null for nothing. */
export function mistakeIn(setting: WholeSetting, run: Pick<RunSettings, WholeSetting>): string | null {
  const { title, least, most } = RUN_LIMITS[setting];
  const found = run[setting];
  if (Number.isSafeInteger(found) && found >= least && found <= most) return null;
  const range =
    most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${new Intl.NumberFormat('en').format(most)}`;
  return `${title}: expected a whole number, ${range}; found ${Number.isNaN(found) ? 'no number' : found}.`;
}

/**
 * The backend for a choice; `auto` is WebGPU where a graphics processor does the work, else WebAssembly.
 *
 * @throws Error saying what is missing and what to choose instead.
 */
export function chooseBackend(choice: BackendChoice, { webgpu, wasm }: Capabilities): BackendName {
  const usesGpu = choice === 'webgpu' || (choice === 'auto' && webgpu.available && !webgpu.software);
  if (usesGpu && !webgpu.available) {
    throw new Error(`WebGPU cannot be used: ${webgpu.description}. Choose WebAssembly instead.`);
  }
  if (usesGpu) return 'webgpu';
  if (!wasm) {
    throw new Error('This browser has no WebAssembly SIMD. Chrome 91, Firefox 89, Safari 16.4 and newer have it.');
  }
  return 'wasm';
}

/** What the choice comes to, in a sentence for the page. */
export function describeBackend(choice: BackendChoice, capabilities: Capabilities): string {
  const { webgpu } = capabilities;
  try {
    const name = chooseBackend(choice, capabilities);
    if (name === 'webgpu') {
      const note = webgpu.software ? ' It is emulated on the processor: expect it to be slower than WebAssembly.' : '';
      return `Will train on WebGPU (${webgpu.description}).${note}`;
    }
    if (choice === 'wasm') return 'Will train on WebAssembly.';
    const reason = webgpu.available ? `${webgpu.description} only emulates it on the processor` : webgpu.description;
    return `WebGPU is not used: ${reason}. Will train on WebAssembly instead.`;
  } catch (error) {
    return (error as Error).message;
  }
}
