import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findBackend } from '@tensorflow/tfjs-core';
import { nodeBackend, TensorFlowUnavailableError } from './eager.js';

/** The name under which tfjs-node and tfjs-node-gpu register their backend. */
export const BACKEND_NAME = 'tensorflow';

/** The two packages that bring the backend, the faster one first. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** The environment variable that names a folder with `node_modules/@tensorflow/tfjs-node` or `…-gpu` in it. */
export const FOLDER_VARIABLE = 'FRUGAL_TENSORFLOW';

/** Where the development script of this project prepares tfjs-node. */
const PREPARED = join('.cache', 'tensorflow');

/** What was loaded. */
export interface LoadedTensorFlow {
  /** `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node`. */
  readonly package: string;
  /** True when TensorFlow found a GPU that it computes on. */
  readonly usesGpu: boolean;
}

let loaded: LoadedTensorFlow | null = null;

/**
 * Loads whichever of `@tensorflow/tfjs-node-gpu` and `@tensorflow/tfjs-node` is installed (the first is preferred), which
 * registers the tfjs backend `tensorflow` and makes it the current one. Whoever imports one of them himself need not call
 * it.
 *
 * @throws TensorFlowUnavailableError when neither is installed, or none starts; the message says why.
 */
export async function loadTensorFlow(): Promise<LoadedTensorFlow> {
  if (loaded !== null) return loaded;
  if (findBackend(BACKEND_NAME) !== null) return describe('the application');
  requireSupportedNode();
  const { found, looked } = locateTensorFlow();
  const failures: string[] = [];
  for (const candidate of found) {
    const failure = await start(candidate);
    if (failure === null) {
      loaded = describe(candidate.name);
      return loaded;
    }
    failures.push(`${candidate.name} in ${candidate.entry} does not start (${failure})`);
  }
  throw new TensorFlowUnavailableError({
    parameter: `backend "${BACKEND_NAME}"`,
    found: failures.length === 0 ? `none in ${looked.join(', ')}` : failures.join('; '),
    expected: `${PACKAGES.join(' or ')} to be installed`,
    advice: `Install one of them, or set ${FOLDER_VARIABLE} to a folder that has it in its node_modules.`,
  });
}

async function start({ entry }: InstalledPackage): Promise<string | null> {
  // Otherwise every process begins with lines about processor features; an own choice stands.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  try {
    await import(entry);
    if (findBackend(BACKEND_NAME) === null) return 'it registers no backend with this copy of tfjs-core';
    return null;
  } catch (error) {
    return String(error instanceof Error ? error.message : error)
      .split('\n')[0]!
      .trim();
  }
}

function describe(name: string): LoadedTensorFlow {
  return { package: name, usesGpu: nodeBackend(findBackend(BACKEND_NAME)).isUsingGpuDevice };
}

/** tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 took away. */
function requireSupportedNode(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 23) return;
  throw new TensorFlowUnavailableError({
    parameter: 'Node.js',
    found: process.versions.node,
    expected: 'a version below 23, the last that @tensorflow/tfjs-node 4.22 runs on',
    advice: 'Use Node 20 or 22 for this backend.',
  });
}

/** An installed package. */
interface InstalledPackage {
  readonly name: (typeof PACKAGES)[number];
  /** The file to import. */
  readonly entry: string;
}

/**
 * Finds tfjs-node-gpu or tfjs-node: in the folder that {@link FOLDER_VARIABLE} names and nowhere else if that is set;
 * else where this package would import it from, then in the working directory's dependencies.
 *
 * @returns The packages that are there, in the order in which to try them, and the folders looked in.
 */
function locateTensorFlow(): {
  readonly found: readonly InstalledPackage[];
  readonly looked: readonly string[];
} {
  const named = process.env[FOLDER_VARIABLE];
  const folders = named ? [resolve(named)] : [process.cwd(), resolve(PREPARED)];
  const bases = folders.map(folder => pathToFileURL(join(folder, 'index.js')).href);
  if (!named) bases.unshift(import.meta.url);
  const found: InstalledPackage[] = [];
  for (const base of bases) {
    const { resolve: find } = createRequire(base);
    for (const name of PACKAGES) {
      const entry = attempt(() => find(name));
      if (entry !== null && existsSync(entry) && found.every(other => other.entry !== entry))
        found.push({ name, entry });
    }
  }
  return { found, looked: named ? folders : ['the dependencies of @frugaljs/backend-node', ...folders] };
}

function attempt(find: () => string): string | null {
  try {
    return find();
  } catch {
    return null;
  }
}
