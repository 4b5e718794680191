import { type Complaint, FrugalError, type Json } from '@frugaljs/core';
import { type ByteSource, crc32, InvalidCheckpointError } from './bytes.js';
import { parseBoundedJson } from './json.js';

/** The files of a checkpoint. Model and configuration are what Hugging Face's `from_pretrained` looks for. */
export const FILES = {
  manifest: 'checkpoint.json',
  model: 'model.safetensors',
  config: 'config.json',
  optimizer: 'optimizer.safetensors',
  trainer: 'trainer.json',
} as const;

/** True for names that are the same file on every system and lead nowhere else. */
export function isPlainName(name: string): boolean {
  // An object of JavaScript has no member of that name of its own.
  return name !== '__proto__' && /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name);
}

export const FORMAT = 'frugaljs-checkpoint';
export const VERSION = 1;
export const LARGEST_MANIFEST: number = 16 * 2 ** 20;
/** More saves than any store has seen, and far from where counting on would lose ones. */
const LARGEST_SEQUENCE = 2 ** 48;

/** What ran the training: bits repeat only where this is the same. */
export interface Runtime {
  /** Name of the tfjs backend. */
  readonly backend: string;
  /** The kernel set registered for it; `reference` if none. */
  readonly kernels: string;
}

/** How the optimizer that was saved was composed. */
export interface SavedComposition {
  /** The JSON it can be made from again. */
  readonly composition: Json;
  /** What trains each parameter, as a line of text; empty for an optimizer that does not tell. */
  readonly rules: Readonly<Record<string, string>>;
  /** The names of its tensors in the order it gave them: optimizers of tfjs go by it, and a file has one of its own. */
  readonly order: readonly string[];
}

/** Length and CRC-32 of a file. */
export interface FileSeal {
  readonly bytes: number;
  readonly crc32: string;
}

/** What a checkpoint says about itself; written last. */
export interface Manifest {
  readonly format: string;
  readonly version: number;
  /** Updates made. */
  readonly step: number;
  /** Counts the saves of a store: of two checkpoints the one with the larger number was saved later. */
  readonly sequence: number;
  /** What `keepBest` goes by; lower is better. */
  readonly metric: number | null;
  readonly runtime: Runtime;
  readonly optimizer: SavedComposition | null;
  readonly files: Readonly<Record<string, FileSeal>>;
}

/** The checkpoint was written in a version of the format that this library does not read. */
export class CheckpointVersionError extends FrugalError {
  constructor(complaint: Complaint) {
    super('checkpoint-version', complaint);
    this.name = 'CheckpointVersionError';
  }
}

/** The text of a manifest, sealed with its own CRC-32. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ crc32: sealOf(manifest), manifest }, null, 1)}\n`;
}

/** Reads the bytes of a manifest, if they are few enough for one. */
export async function readManifestBytes(source: ByteSource): Promise<Uint8Array> {
  const { label, size } = source;
  if (size > LARGEST_MANIFEST) throw complaint(label, `${size} bytes`, `at most ${LARGEST_MANIFEST}`);
  return source.read(0, size);
}

/**
 * Checks the bytes of a manifest.
 *
 * @throws InvalidCheckpointError if it was altered, CheckpointVersionError if it is of another version of the format.
 */
export function parseManifest(bytes: Uint8Array, label: string): Manifest {
  const outer = objectOf(parseBoundedJson(bytes, label), label);
  const body = objectOf(outer['manifest'], `${label}: manifest`);
  if (body['format'] !== FORMAT) throw complaint(`${label}: format`, body['format'], FORMAT);
  if (outer['crc32'] !== sealOf(body)) {
    throw complaint(`${label}: crc32`, outer['crc32'], `${sealOf(body)}, that of the manifest`);
  }
  const { version } = body;
  if (version !== VERSION) {
    throw new CheckpointVersionError({
      parameter: `${label}: version`,
      found: version,
      expected: `${VERSION}`,
      advice: 'Use the version of @frugaljs/checkpoint that wrote it; model.safetensors can be read by any version.',
    });
  }
  return {
    format: FORMAT,
    version: VERSION,
    step: countOf(body['step'], `${label}: step`),
    sequence: sequenceOf(body['sequence'], `${label}: sequence`),
    metric: metricOf(body['metric'], `${label}: metric`),
    runtime: runtimeOf(body['runtime'], `${label}: runtime`),
    optimizer: savedCompositionOf(body['optimizer'], `${label}: optimizer`),
    files: sealsOf(body['files'], `${label}: files`),
  };
}

/**
 * The number of the save after these.
 *
 * @throws InvalidCheckpointError if there is none that would be read.
 */
export function nextSequence(before: Iterable<Manifest>): number {
  let next = 1;
  for (const { sequence } of before) next = Math.max(next, sequence + 1);
  return sequenceOf(next, 'sequence of the next save');
}

/** A CRC-32 as text. */
export function crcText(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

function sealOf(manifest: unknown): string {
  return crcText(crc32(new TextEncoder().encode(JSON.stringify(manifest))));
}

type Members = Readonly<Record<string, unknown>>;

function objectOf(value: unknown, label: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw complaint(label, value, 'an object');
}

function countOf(value: unknown, label: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw complaint(label, value, 'a non-negative integer');
}

function sequenceOf(value: unknown, label: string): number {
  if (countOf(value, label) <= LARGEST_SEQUENCE) return value as number;
  throw complaint(label, value, `at most ${LARGEST_SEQUENCE}`);
}

function metricOf(value: unknown, label: string): number | null {
  if (value === null || typeof value === 'number') return value;
  throw complaint(label, value, 'a number or null');
}

function textOf(value: unknown, label: string): string {
  if (typeof value === 'string') return value;
  throw complaint(label, value, 'text');
}

function runtimeOf(value: unknown, label: string): Runtime {
  const { backend, kernels } = objectOf(value, label);
  return { backend: textOf(backend, `${label}.backend`), kernels: textOf(kernels, `${label}.kernels`) };
}

function savedCompositionOf(value: unknown, label: string): SavedComposition | null {
  if (value === null) return null;
  const { composition, rules, order } = objectOf(value, label);
  if (!Array.isArray(order)) throw complaint(`${label}.order`, order, 'a list of names');
  const entries = Object.entries(objectOf(rules, `${label}.rules`));
  return {
    composition: objectOf(composition, `${label}.composition`) as Json,
    rules: Object.fromEntries(entries.map(([name, rule]) => [name, textOf(rule, `${label}.rules.${name}`)])),
    order: order.map(name => textOf(name, `${label}.order`)),
  };
}

function sealsOf(value: unknown, label: string): Record<string, FileSeal> {
  const files = Object.entries(objectOf(value, label)).map(([name, seal]) => {
    if (!isPlainName(name) || name === FILES.manifest) throw complaint(label, name, 'a plain file name');
    const { bytes, crc32: crc } = objectOf(seal, `${label}.${name}`);
    const sealed = { bytes: countOf(bytes, `${label}.${name}.bytes`), crc32: textOf(crc, `${label}.${name}.crc32`) };
    return [name, sealed] as const;
  });
  const found = Object.fromEntries(files);
  if (found[FILES.model] === undefined)
    throw complaint(label, Object.keys(found).join(', '), `${FILES.model} among them`);
  return found;
}

function complaint(parameter: string, found: unknown, expected: string): InvalidCheckpointError {
  return new InvalidCheckpointError({ parameter, found, expected, advice: 'The checkpoint was altered.' });
}
