export { huggingFaceConfig, type LlamaConfig, type LlamaConfigInput, llamaConfig } from './config.js';
export type { Corpus } from './data/corpus.js';
export { type DocumentFormat, documentFormat, parseDocuments, splitTail } from './data/documents.js';
export { gunzip } from './data/gunzip.js';
export { type DatasetOptions, TokenDataset } from './data/token-dataset.js';
export { type TokenStream, tokenStream } from './data/token-stream.js';
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
export { type GenerateOptions, generate } from './generate.js';
export { readLlama2c } from './llama2c.js';
export { LlamaForCausalLM, type LlamaOptions } from './model.js';
export { recompute } from './ops/recompute.js';
export { type ParameterKind, type ParameterSpec, parameterCount, parameterSpecs } from './parameters.js';
export { defaultPreset, type PresetName, preset, presetNames } from './presets.js';
export type { LinearRopeScaling, Llama3RopeScaling, RopeScaling } from './rope-setting.js';
export type { SamplingOptions } from './sampling.js';
export { byteTokenizer } from './tokenizer/bytes.js';
export { llama2cTokenizer } from './tokenizer/llama2c.js';
export type { Tokenizer } from './tokenizer/tokenizer.js';
export { jsonTokenizer } from './tokenizer/tokenizer-json.js';
export type { TokenBatch, Tokens } from './tokens.js';
export type { HostTensor, WeightMap } from './weights.js';
