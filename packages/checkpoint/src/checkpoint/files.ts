/** The files of a checkpoint. Model and configuration are what Hugging Face's `from_pretrained` looks for. */
export const FILES = {
  manifest: 'checkpoint.json',
  model: 'model.safetensors',
  config: 'config.json',
  optimizer: 'optimizer.safetensors',
  trainer: 'trainer.json',
} as const;

/** Names that are the same file on every system and lead nowhere else. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export function isPlainName(name: string): boolean {
  return PLAIN_NAME.test(name);
}
