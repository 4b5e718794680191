import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InvalidCheckpointError } from '../bytes.js';
import { isPlainName } from '../manifest.js';
import { SafetensorsReader } from '../safetensors.js';
import { CheckpointStorageError } from '../stores.js';
import { fileSource } from './files.js';

/** A weight on the host, row after row. */
export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/**
 * All weights of a model as float32: of one `.safetensors` file, or of a folder as transformers' `save_pretrained`
 * writes it, in one file or in several with an index. A checkpoint of this package is such a folder.
 *
 * @throws CheckpointStorageError if there are no such files; InvalidCheckpointError if they are cut off or altered, if
 *   the index names what is not there, or for weights that are no floats, such as quantized ones.
 */
export async function readWeights(path: string): Promise<Record<string, Weight>> {
  const weights: [string, Weight][] = [];
  for (const file of await filesOf(path)) {
    const reader = await SafetensorsReader.open(await fileSource(file.path));
    try {
      for (const name of file.names ?? reader.tensors.keys()) {
        const info = reader.tensors.get(name);
        if (info === undefined) {
          throw new InvalidCheckpointError({
            parameter: `${INDEX}: ${name}`,
            found: `no tensor of that name in ${basename(file.path)}`,
            expected: 'the file that holds the tensor',
          });
        }
        weights.push([name, { shape: info.shape, data: await reader.readFloat32(name) }]);
      }
    } finally {
      await reader.close();
    }
  }
  return Object.fromEntries(weights);
}

/** A file and the tensors to read from it, all if none are named. */
interface WeightFile {
  readonly path: string;
  readonly names?: readonly string[];
}

async function filesOf(path: string): Promise<readonly WeightFile[]> {
  if (!existsSync(path)) throw missing(path, 'nothing there');
  if (!statSync(path).isDirectory()) return path.endsWith('.index.json') ? shards(path) : [{ path }];
  if (existsSync(join(path, SINGLE))) return [{ path: join(path, SINGLE) }];
  if (existsSync(join(path, INDEX))) return shards(join(path, INDEX));
  throw missing(path, `a folder with ${readdirSync(path).slice(0, 10).join(', ') || 'no files'}`);
}

function missing(path: string, found: string): CheckpointStorageError {
  return new CheckpointStorageError('missing', {
    parameter: path,
    found,
    expected: `a .safetensors file, or a folder with ${SINGLE} or ${INDEX}`,
    advice: 'Python saves other forms anew with model.save_pretrained(folder).',
  });
}

/** The files that an index lists, each with its tensors. */
async function shards(path: string): Promise<readonly WeightFile[]> {
  const source = await fileSource(path);
  const bytes = await source.read(0, source.size).finally(() => source.close());
  const text = new TextDecoder().decode(bytes);
  const files = new Map<string, string[]>();
  for (const [name, file] of Object.entries(weightMap(path, text))) {
    // A name with a folder in it would read what lies elsewhere.
    if (typeof file !== 'string' || !isPlainName(file)) {
      throw new InvalidCheckpointError({ parameter: `${path}: ${name}`, found: file, expected: 'a plain file name' });
    }
    const names = files.get(file);
    if (names === undefined) files.set(file, [name]);
    else names.push(name);
  }
  return [...files].map(([file, names]) => ({ path: join(dirname(path), file), names }));
}

function weightMap(path: string, text: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const map: unknown = (json as { readonly weight_map?: unknown } | null | undefined)?.weight_map;
  if (typeof map === 'object' && map !== null && !Array.isArray(map)) return map as Readonly<Record<string, unknown>>;
  throw new InvalidCheckpointError({ parameter: path, found: 'none', expected: 'JSON with an object weight_map' });
}
