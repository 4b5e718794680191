export { type CorpusEdition, type CorpusFile, type CorpusSource, corpusSources } from './corpus-sources.js';
export { cacheFolder, dataFolders, type FolderOptions, findData, readContent, readText } from './data-folders.js';
export { type CorpusOptions, installedText, openCorpus } from './open-corpus.js';
export { openTokenizer, tokenizerFiles } from './open-tokenizer.js';
