import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { randomKey, randomPermutation, randomUniform } from '@frugaljs/core';
import { dataFolders } from '@frugaljs/llama/node';
import { type Tensor, tensor2d, tensor4d } from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';

/** A tf.layers model of a kind, and examples for it. */
export interface Task {
  readonly name: string;
  /** Layers, for the table. */
  readonly title: string;
  /** Name of the output layer. */
  readonly output: string;
  readonly training: Examples;
  readonly validation: Examples;
  build(seed: number): LayersModel;
}

/** Rows that belong together; labels are class numbers in float32, as tf.layers compares them. */
export interface Examples {
  readonly inputs: Tensor;
  readonly labels: Tensor;
}

/** Images, sentences and a language model: what most tf.layers models are. */
export const TASKS: readonly (() => Task)[] = [digits, intents, stories];

/** Digits drawn at 20 × 20 with shifts, slants and noise, and a small convolutional network. */
function digits(): Task {
  const random = numbersFrom(7);
  const draw = (count: number): Examples => {
    const pixels = new Float32Array(count * SIDE * SIDE);
    const labels = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      labels[i] = Math.floor(random() * 10);
      drawDigit(labels[i]!, random, pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE));
    }
    return { inputs: tensor4d(pixels, [count, SIDE, SIDE, 1]), labels: tensor2d(labels, [count, 1]) };
  };
  return {
    name: 'digits',
    title: 'conv 3×3×16, conv 3×3×32, conv 3×3×64, dense 64, dense 10',
    output: 'output',
    training: draw(4096),
    validation: draw(1024),
    build: seed => {
      const make = kernels(seed);
      return sequential({
        layers: [
          layers.conv2d({ inputShape: [SIDE, SIDE, 1], filters: 16, kernelSize: 3, activation: 'relu', ...make() }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.conv2d({ filters: 32, kernelSize: 3, activation: 'relu', ...make() }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.conv2d({ filters: 64, kernelSize: 3, activation: 'relu', ...make() }),
          layers.flatten(),
          layers.dense({ units: 64, activation: 'relu', ...make() }),
          layers.dense({ units: 10, activation: 'softmax', name: 'output', ...make() }),
        ],
      });
    },
  };
}

/** Questions of customers of a bank, 77 kinds (banking77): a model that is mostly an embedding. */
function intents(): Task {
  // The file goes class by class, and batches are neighbors.
  const train = shuffled(readCsv('banking77/train.csv.gz'));
  const test = readCsv('banking77/test.csv');
  const classes = [...new Set(train.map(([, label]) => label))].sort();
  const words = vocabulary(
    train.map(([text]) => wordsOf(text)),
    INTENT_WORDS,
  );
  const encode = (rows: readonly (readonly [string, string])[]): Examples => ({
    inputs: tensor2d(
      rows.map(([text]) =>
        padded(
          wordsOf(text).map(word => words.get(word) ?? 1),
          INTENT_LENGTH,
        ),
      ),
      undefined,
      'float32',
    ),
    labels: tensor2d(rows.map(([, label]) => [classes.indexOf(label)])),
  });
  return {
    name: 'intents',
    title: `embedding ${INTENT_WORDS} × 64, mean, dense 128, dense 77`,
    output: 'output',
    training: encode(train),
    validation: encode(test),
    build: seed => {
      const make = kernels(seed);
      return sequential({
        layers: [
          layers.embedding({
            inputDim: INTENT_WORDS,
            outputDim: 64,
            inputLength: INTENT_LENGTH,
            embeddingsInitializer: initializers.randomUniform({ minval: -0.05, maxval: 0.05, seed }),
          }),
          layers.globalAveragePooling1d({}),
          layers.dense({ units: 128, activation: 'relu', ...make() }),
          layers.dense({ units: 77, activation: 'softmax', name: 'output', ...make() }),
        ],
      });
    },
  };
}

/** The next word of children's stories from the eight before: embedding, convolution, and an output layer as large. */
function stories(): Task {
  const text = readText('tinystories/v2-1727.txt.gz').slice(0, 600_000);
  const tokens = wordsOf(text);
  const words = vocabulary([tokens], STORY_WORDS);
  const ids = tokens.map(word => words.get(word) ?? 1);
  const windows = Math.floor((ids.length - 1) / STORY_STRIDE) - STORY_LENGTH;
  const slice = (from: number, to: number): Examples => {
    const inTurn = Array.from({ length: to - from }, (_, i) => (from + i) * STORY_STRIDE);
    const starts = shuffled(inTurn);
    return {
      inputs: tensor2d(
        starts.map(start => ids.slice(start, start + STORY_LENGTH)),
        undefined,
        'float32',
      ),
      labels: tensor2d(starts.map(start => [ids[start + STORY_LENGTH]!])),
    };
  };
  const held = Math.min(2048, Math.floor(windows / 10));
  return {
    name: 'stories',
    title: `embedding ${STORY_WORDS} × 64, conv 4 × 96, dense 128, dense ${STORY_WORDS}`,
    output: 'output',
    training: slice(0, windows - held),
    validation: slice(windows - held, windows),
    build: seed => {
      const make = kernels(seed);
      return sequential({
        layers: [
          layers.embedding({
            inputDim: STORY_WORDS,
            outputDim: 64,
            inputLength: STORY_LENGTH,
            embeddingsInitializer: initializers.randomUniform({ minval: -0.05, maxval: 0.05, seed }),
          }),
          layers.conv1d({ filters: 96, kernelSize: 4, activation: 'relu', ...make() }),
          layers.flatten(),
          layers.dense({ units: 128, activation: 'relu', ...make() }),
          layers.dense({ units: STORY_WORDS, activation: 'softmax', name: 'output', ...make() }),
        ],
      });
    },
  };
}

const SIDE = 20;
const INTENT_WORDS = 2400;
const INTENT_LENGTH = 24;
const STORY_WORDS = 1500;
const STORY_LENGTH = 8;
const STORY_STRIDE = 3;

/** Numbers in [0, 1), one after the other. */
export function numbersFrom(seed: number): () => number {
  const key = randomKey(seed, 'experiment');
  let drawn = 0;
  return () => randomUniform(key, drawn++);
}

function shuffled<T>(items: readonly T[]): T[] {
  return Array.from(randomPermutation(randomKey(7, 'shuffle'), items.length), i => items[i]!);
}

/** Initial kernels, each from a seed of its own. */
function kernels(seed: number): () => { kernelInitializer: ReturnType<typeof initializers.glorotUniform> } {
  let made = 0;
  return () => ({ kernelInitializer: initializers.glorotUniform({ seed: 1000 * seed + ++made }) });
}

/** Digits as strokes on a grid of 4 × 6. */
const STROKES: readonly (readonly (readonly [number, number])[])[] = [
  [
    [0, 0],
    [4, 0],
    [4, 6],
    [0, 6],
    [0, 0],
  ],
  [
    [1, 1],
    [2, 0],
    [2, 6],
  ],
  [
    [0, 1],
    [2, 0],
    [4, 1],
    [4, 3],
    [0, 6],
    [4, 6],
  ],
  [
    [0, 0],
    [4, 0],
    [2, 3],
    [4, 4],
    [4, 6],
    [0, 6],
  ],
  [
    [3, 6],
    [3, 0],
    [0, 4],
    [4, 4],
  ],
  [
    [4, 0],
    [0, 0],
    [0, 3],
    [4, 3],
    [4, 6],
    [0, 6],
  ],
  [
    [4, 0],
    [1, 2],
    [0, 6],
    [4, 6],
    [4, 3],
    [0, 3],
  ],
  [
    [0, 0],
    [4, 0],
    [1, 6],
  ],
  [
    [2, 3],
    [0, 1],
    [2, 0],
    [4, 1],
    [0, 5],
    [2, 6],
    [4, 5],
    [2, 3],
  ],
  [
    [4, 3],
    [0, 3],
    [0, 0],
    [4, 0],
    [4, 3],
    [3, 6],
  ],
];

/** Draws a digit somewhere on the canvas, slanted and stretched, with noise over all of it. */
function drawDigit(digit: number, random: () => number, into: Float32Array): void {
  const spread = (size: number): number => (random() * 2 - 1) * size;
  const [sx, sy, slant] = [2.2 + spread(0.7), 2.1 + spread(0.6), spread(0.9)];
  const [x0, y0] = [5.5 + spread(3), 3.5 + spread(3)];
  for (let i = 0; i < into.length; i++) into[i] = random() * 0.7;
  const points = STROKES[digit]!.map(
    ([x, y]) => [x0 + x * sx + (6 - y) * slant * 0.6, y0 + y * sy + spread(0.4)] as const,
  );
  for (const [i, [x, y]] of points.slice(1).entries()) {
    const [fromX, fromY] = points[i]!;
    const steps = 1 + Math.ceil(Math.hypot(x - fromX, y - fromY) * 2);
    for (let k = 0; k <= steps; k++) {
      const column = Math.round(fromX + ((x - fromX) * k) / steps);
      const row = Math.round(fromY + ((y - fromY) * k) / steps);
      if (column >= 0 && column < SIDE && row >= 0 && row < SIDE) into[row * SIDE + column]! += 0.6;
    }
  }
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z']+|[.,!?]/g) ?? [];
}

/** The most frequent words, from 2; 0 stands for nothing and 1 for every other word. */
function vocabulary(texts: readonly (readonly string[])[], size: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const words of texts) for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const frequent = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, size - 2);
  return new Map(frequent.map(([word], i) => [word, i + 2]));
}

function padded(ids: readonly number[], length: number): number[] {
  return [...ids.slice(0, length), ...new Array<number>(Math.max(0, length - ids.length)).fill(0)];
}

/** Rows of text and label, without the header; quoted fields may hold commas and line ends. */
function readCsv(file: string): (readonly [string, string])[] {
  const rows = readText(file).matchAll(/(?:"((?:[^"]|"")*)"|([^,\n]*)),([^,\n]*)\n/g);
  return [...rows].slice(1).map(([, quoted, plain, label]) => [quoted?.replaceAll('""', '"') ?? plain!, label!]);
}

/** @throws Error that says where the file is looked for. */
function readText(file: string): string {
  const folders = dataFolders();
  const found = folders.map(folder => path.join(folder, file)).find(existsSync);
  if (found === undefined) {
    throw new Error(`expected ${file} in ${folders.join(' or ')}; name the folder that has it in FRUGAL_DATA`);
  }
  const bytes = readFileSync(found);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}
