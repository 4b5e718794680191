export { fileSink, fileSource, makeFolder } from './files.js';
export { FolderStore, locateCheckpoints } from './folder-store.js';
export { readWeights, type Weight } from './read-weights.js';
