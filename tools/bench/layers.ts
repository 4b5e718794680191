import '@tensorflow/tfjs-layers'; // registers the gradients
import { cpus, loadavg } from 'node:os';
import { frugal } from '@frugaljs/composer';
import {
  dispose,
  losses,
  type Optimizer,
  oneHot,
  randomUniform,
  type Scalar,
  type Tensor,
  tensor1d,
  train,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import type { Sequential } from '@tensorflow/tfjs-layers';
import { type BackendName, startBackend, stopwatchFor } from './backends.js';
import { LAYER_MODELS, type LayerModelName } from './layer-models.js';
import { roundRobin, type Timed } from './measure.js';
import { clockOption, integerOption, namesOption, type Print, readOptions, writeReport } from './options.js';
import type { Timer } from './runs.js';
import { type Column, digits, median, summarize, TIME_COLUMNS, type TimedRow, table } from './table.js';

const OPTIONS = ['models', 'rounds', 'batch', 'clock', 'json'];
const WARM_UP = 2;
/** Milliseconds for all steps of a run. A step on cpu takes seconds. */
const BUDGET = 20_000;
const MODELS = Object.keys(LAYER_MODELS) as LayerModelName[];

/** What is compared: tfjs as it is on cpu, and this project on wasm. */
const SIDES: readonly { readonly backend: BackendName; readonly method: string; create(): Optimizer }[] = [
  { backend: 'cpu', method: 'tf.train.adam', create: () => train.adam(1e-3) },
  { backend: 'wasm', method: 'frugal', create: () => frugal({ learningRate: 1e-3 }) },
];

interface Row extends TimedRow {
  readonly model: LayerModelName;
  /** Median of tfjs on cpu over that of the row: above 1 is faster. */
  readonly ratioCpu: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'model', show: row => row.model, text: true },
  ...TIME_COLUMNS,
  { heading: '× cpu', show: row => digits(row.ratioCpu) },
];

/** `layers`: whole training steps of convolutional models of tf.layers: forward pass, backward pass and update. */
export async function layersCommand(args: readonly string[], print: Print): Promise<void> {
  const options = readOptions(args, OPTIONS);
  const rounds = integerOption('rounds', options['rounds'], 9);
  const batch = integerOption('batch', options['batch'], 32);
  const clock = clockOption(options['clock']);
  const models = namesOption('models', options['models'], MODELS, MODELS);
  print(`batches of ${batch} images, ${rounds} rounds, ${clock} time, Node ${process.version}`);
  print(`${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}`);
  const rows: Row[] = [];
  for (const model of models) {
    let cpu: number | null = null;
    for (const { backend, method, create } of SIDES) {
      await startBackend(backend);
      const run = new LayerRun(model, batch, create(), stopwatchFor(backend, clock));
      const [samples] = await roundRobin([run], { rounds, warmUp: WARM_UP, budget: BUDGET });
      run.dispose();
      const middle = median(samples!);
      cpu ??= middle;
      rows.push({ model, backend, method, ...summarize(samples!), rounds: samples!.length, ratioCpu: cpu / middle });
    }
  }
  print('');
  for (const line of table(COLUMNS, rows)) print(line);
  if (options['json'] !== undefined) writeReport(options['json'], { settings: { batch, rounds, clock }, rows });
}

/** Training steps of a model of its own, on the backend that is current when it is made. */
class LayerRun implements Timed {
  private readonly model: Sequential;
  private readonly variables: Variable[];
  private readonly images: Tensor;
  private readonly labels: Tensor;

  constructor(
    name: LayerModelName,
    batch: number,
    private readonly optimizer: Optimizer,
    private readonly timer: Timer,
  ) {
    const { images, classes, create } = LAYER_MODELS[name];
    this.model = create();
    this.variables = this.model.trainableWeights.map(weight => weight.read() as Variable);
    this.images = randomUniform([batch, ...images]);
    const indices = tensor1d(
      Array.from({ length: batch }, (_, i) => i % classes),
      'int32',
    );
    this.labels = oneHot(indices, classes);
    indices.dispose();
  }

  time(): number | Promise<number> {
    return this.timer(() => {
      const { value, grads } = variableGrads(() => {
        const logits = this.model.apply(this.images, { training: true }) as Tensor;
        return losses.softmaxCrossEntropy(this.labels, logits) as Scalar;
      }, this.variables);
      this.optimizer.applyGradients(grads);
      dispose([value, grads]);
    });
  }

  dispose(): void {
    dispose([this.images, this.labels]);
    this.optimizer.dispose();
    this.model.dispose();
  }
}
