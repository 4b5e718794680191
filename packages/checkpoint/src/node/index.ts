export { fileSink } from './file-sink.js';
export { fileSource } from './file-source.js';
export { FolderStore, locateCheckpoints } from './folder-store.js';
export { readWeights, type Weight } from './read-weights.js';
