// Takes the folder given, says so, and stays: as a worker thread, until it is ended.
import { parentPort, workerData } from 'node:worker_threads';
import { FolderStore } from '../src/node/index.js';

await new FolderStore(workerData as string).acquire(() => {});
parentPort!.on('message', () => {});
parentPort!.postMessage('taken');
