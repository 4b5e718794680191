export {
  defaultPreset,
  huggingFaceConfig,
  type LinearRopeScaling,
  type Llama3RopeScaling,
  type LlamaConfig,
  type LlamaConfigInput,
  llamaConfig,
  type PresetName,
  preset,
  presetNames,
  type RopeScaling,
} from './config.js';
export { type Corpus, type DocumentFormat, documentFormat, gunzip, parseDocuments, splitTail } from './corpus.js';
export {
  ArgumentError,
  type Complaint,
  ConfigError,
  DataError,
  FormatError,
  IntegrityError,
  LlamaError,
  WeightsError,
} from './errors.js';
export { type GenerateOptions, generate, type SamplingOptions } from './generate.js';
export { readLlama2c } from './llama2c.js';
export { type LinearAdapter, LlamaForCausalLM, type LlamaOptions } from './model.js';
export {
  type HostTensor,
  type ParameterKind,
  type ParameterSpec,
  parameterCount,
  parameterSpecs,
  type WeightMap,
} from './parameters.js';
export { recompute } from './recompute.js';
export {
  type DatasetOptions,
  type TokenBatch,
  TokenDataset,
  type TokenStream,
  type Tokens,
  tokenStream,
} from './token-dataset.js';
export { byteTokenizer, jsonTokenizer, llama2cTokenizer, type Tokenizer } from './tokenizer.js';
