// A worker answers the page's requests, one after the other. One of them is the page's adviser, which reads setups; the
// others train, each a model of its own: TensorFlow.js keeps one register of variable names, and the compared models
// must have the same names for their subspaces to be the same, and for their checkpoints to fit elsewhere.
import { FrugalError, NonFiniteGradientError } from '@frugaljs/core';
import { preset, type TokenDataset } from '@frugaljs/llama';
import type { FromWorker, OwnText, RequestName, Requests, ToWorker } from '../protocol.js';
import { capabilities, startBackend } from './backend.js';
import { outlineOf } from './optimizers.js';
import { openDataset } from './text.js';
import { failureMessage, TrainingRun } from './training-run.js';

type Handlers = {
  readonly [Name in RequestName]: (
    argument: Requests[Name]['argument'],
    progress: (text: string) => void,
  ) => Requests[Name]['answer'] | Promise<Requests[Name]['answer']>;
};

/** Steps between two reports of memory. */
const MEMORY_EVERY = 10;

let text: OwnText | null = null;
let training: { readonly run: TrainingRun; readonly data: TokenDataset } | null = null;

function running(): { readonly run: TrainingRun; readonly data: TokenDataset } {
  if (training === null) throw new Error('This worker has not been started.');
  return training;
}

const handlers: Handlers = {
  capabilities: () => capabilities(),
  text: given => {
    text = given;
    return null;
  },
  outline: setup => outlineOf(setup, text),
  start: async ({ run, optimizer, backend }) => {
    await startBackend(backend, lose);
    const data = openDataset(text, run);
    training = { data, run: new TrainingRun(optimizer, preset(run.model), run) };
    return null;
  },
  step: async ({ index }) => {
    const { run, data } = running();
    const batch = data.trainBatch(index);
    const started = performance.now();
    let loss: number | null;
    try {
      loss = await run.step(batch);
    } catch (error) {
      if (!(error instanceof NonFiniteGradientError)) throw error;
      loss = null;
    }
    if (!Number.isFinite(loss)) loss = null;
    const milliseconds = performance.now() - started;
    return { loss, milliseconds, memory: index % MEMORY_EVERY === 0 ? run.memory : null };
  },
  sample: (request, progress) => running().run.sample(request, progress),
  file: ({ kind }) => running().run.file(kind),
};

/** Requests wait for each other: a download must not see half a step. */
let queue: Promise<void> = Promise.resolve();
/** Milliseconds for the news of a lost device to arrive after an operation on it has failed. */
const NEWS = 500;

let lost = false;
const post = (message: FromWorker): void => postMessage(message);

/** Gives up: on the present request, whatever its handler is waiting for, and on all later ones. */
function lose(message: string): void {
  if (lost) return;
  lost = true;
  post({ lost: message });
}

/** What the page is told of an error. Of a lost device the reason, rather than what failed after it. */
async function fail(id: number, error: unknown): Promise<void> {
  if (training !== null && !(error instanceof FrugalError)) await new Promise(resolve => setTimeout(resolve, NEWS));
  if (!lost) post({ id, error: failureMessage(error) });
}

// tfjs lets go of promises whose failure somebody may be waiting for in vain.
addEventListener('unhandledrejection', event => {
  event.preventDefault();
  setTimeout(() => lose(failureMessage(event.reason)), NEWS);
});

addEventListener('message', ({ data: { id, name, argument } }: MessageEvent<ToWorker>) => {
  const handle = handlers[name] as (argument: unknown, progress: (text: string) => void) => unknown;
  queue = queue
    .then(async () => {
      post({ id, answer: await handle(argument, progress => post({ id, progress })) });
    })
    .catch((error: unknown) => fail(id, error));
});
