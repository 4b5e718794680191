import { type LlamaConfig, type LlamaConfigInput, llamaConfig } from './config.js';
import { ConfigError } from './errors.js';

/** A named size. */
export type PresetName =
  | 'llama_nano'
  | 'llama_micro'
  | 'llama_tiny'
  | 'llama_small'
  | 'llama_9m'
  | 'llama_20m'
  | 'llama_35m'
  | 'llama_40m'
  | 'llama_60m'
  | 'llama_71m'
  | 'llama_100m'
  | 'llama_130m'
  | 'llama_250m'
  | 'llama_350m'
  | 'llama_1b'
  | 'llama_3b'
  | 'llama_7b';

type Sizes = readonly [layers: number, hidden: number, intermediate: number, heads: number, vocabulary?: number];

/**
 * Sizes of the LLaMA family that GaLore, ReLoRA and FRUGAL pre-train on C4 (their public `configs/llama_*.json`), and
 * of a few models small enough for a test, a page or a CPU. The small ones read bytes: 256 values and a separator.
 */
const SIZES: Readonly<Record<PresetName, Sizes>> = {
  llama_nano: [1, 32, 88, 2, 257],
  llama_micro: [2, 64, 176, 4, 257],
  llama_tiny: [2, 128, 352, 4, 257],
  llama_small: [4, 256, 688, 4, 257],
  llama_9m: [4, 128, 352, 4],
  llama_20m: [4, 256, 688, 4],
  llama_35m: [6, 384, 1024, 8],
  llama_40m: [8, 416, 1024, 8],
  llama_60m: [8, 512, 1376, 8],
  llama_71m: [12, 512, 1368, 8],
  llama_100m: [12, 640, 1708, 10, 32100],
  llama_130m: [12, 768, 2048, 12],
  llama_250m: [24, 768, 2560, 16],
  llama_350m: [24, 1024, 2736, 16],
  llama_1b: [24, 2048, 5461, 32],
  llama_3b: [32, 2560, 6848, 32],
  llama_7b: [32, 4096, 11008, 32],
};

/** The names {@link preset} knows, smallest model first. */
export const presetNames: readonly PresetName[] = Object.keys(SIZES) as PresetName[];

/** The preset of a pre-training comparison that a CPU finishes in minutes: 2 layers, width 128, 4 heads, bytes. */
export const defaultPreset: PresetName = 'llama_tiny';

/**
 * A named configuration.
 *
 * @param name A preset, with or without `llama_` (`'60m'`).
 * @param overrides Keys to replace, such as `vocab_size` for another tokenizer.
 * @throws ConfigError for an unknown name, or overrides that do not fit.
 */
export function preset(name: string, overrides: LlamaConfigInput = {}): LlamaConfig {
  const key = (name.startsWith('llama_') ? name : `llama_${name}`) as PresetName;
  if (!Object.hasOwn(SIZES, key)) {
    throw new ConfigError({ parameter: 'preset', found: name, expected: `one of ${presetNames.join(', ')}` });
  }
  const [layers, hidden, intermediate, heads, vocabulary = 32000] = SIZES[key];
  return llamaConfig({
    vocab_size: vocabulary,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    max_position_embeddings: key === 'llama_7b' ? 2048 : 1024,
    ...overrides,
  });
}
