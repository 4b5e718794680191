// What a page does with checkpoints, for the test that drives it: trains, saves into IndexedDB, goes on after a reload,
// hands a checkpoint out as one file and takes one in.
import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { setBackend } from '@tensorflow/tfjs-core';
import {
  BlobSink,
  blobSource,
  Checkpoints,
  copyCheckpoint,
  IndexedDbStore,
  openArchive,
  writeArchive,
} from '../../src/index.js';
import { makeModel, trainSteps } from '../fixtures.js';

/** What the test calls. */
export interface CheckpointPage {
  /** Trains from step to step, from the latest checkpoint if asked, and saves at the end; the losses so far. */
  train(database: string, from: number, to: number): Promise<readonly number[]>;
  /** Points the link at an archive of the latest checkpoint, and clicks it. */
  download(database: string): Promise<void>;
  /** Copies the file that was chosen into a database; the name it got. */
  upload(database: string): Promise<string>;
  /** Names of the checkpoints in a database. */
  list(database: string): Promise<readonly string[]>;
}

function makeOptimizer(): ComposedOptimizer {
  return recipe('frugal', { learningRate: 0.01, density: 0.5, updateGap: 3, seed: 4 });
}

function checkpointsIn(database: string): Checkpoints {
  return new Checkpoints({ store: new IndexedDbStore(database), keepLast: 2 });
}

const page: CheckpointPage = {
  train: async (database, from, to) => {
    await setBackend('cpu');
    // Other weights, so that those of the checkpoint must come from it.
    const model = makeModel(from === 0 ? 1 : 5);
    const optimizer = makeOptimizer();
    const checkpoints = checkpointsIn(database);
    await checkpoints.prepare();
    let losses: number[] = [];
    if (from > 0) {
      const report = await (await checkpoints.latest())!.restore({ model: model.parameters, optimizer });
      losses = (report.trainer as unknown as { losses: number[] }).losses;
    }
    losses = [...losses, ...trainSteps(model, optimizer, from, to)];
    await checkpoints.save({
      step: to,
      model: model.parameters,
      optimizer,
      trainer: { losses },
      metric: losses.at(-1)!,
    });
    await checkpoints.settled();
    optimizer.dispose();
    model.dispose();
    return losses;
  },
  download: async database => {
    const saved = (await checkpointsIn(database).latest())!;
    const sink = new BlobSink();
    await writeArchive(saved, sink);
    const link = document.querySelector<HTMLAnchorElement>('#download')!;
    link.href = URL.createObjectURL(sink.blob());
    link.download = `${saved.name}.tar`;
    link.click();
  },
  upload: async database => {
    const file = document.querySelector<HTMLInputElement>('#upload')!.files![0]!;
    return copyCheckpoint(await openArchive(blobSource(file, file.name)), checkpointsIn(database).store);
  },
  list: async database => (await checkpointsIn(database).list()).map(({ name }) => name),
};

(globalThis as { checkpointPage?: CheckpointPage }).checkpointPage = page;
