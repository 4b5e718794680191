export { type CorpusEdition, type CorpusFile, type CorpusSource, corpusSources } from './corpus-sources.js';
export { cacheFolder, dataFolders, type FolderOptions, findData } from './data-folders.js';
export { installedText } from './installed-text.js';
export { type CorpusOptions, openCorpus } from './open-corpus.js';
export { openTokenizer, tokenizerFiles } from './open-tokenizer.js';
export { readContent, readText } from './read-file.js';
