import { generate, type LlamaForCausalLM, type Tokenizer } from '@frugaljs/llama';

export interface SampleOptions {
  readonly count: number;
  readonly prompt?: string;
  /** Tokens to add. */
  readonly length: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** Texts by the model, each with the prompt in front. Fewer than asked for, and the last cut off, if aborted. */
export async function sampleTexts(
  model: LlamaForCausalLM,
  tokenizer: Tokenizer,
  { count, prompt = '', length, seed, signal }: SampleOptions,
): Promise<string[]> {
  const start = tokenizer.separator === null ? Array.from(tokenizer.encode('\n')) : [tokenizer.separator];
  const tokens = [...start, ...Array.from(tokenizer.encode(prompt))];
  const texts: string[] = [];
  for (let i = 0; i < count && !signal?.aborted; i++) {
    const added = await generate(model, tokens, {
      maxNewTokens: length,
      seed: seed + i,
      temperature: 0.8,
      topK: 40,
      ...(signal && { signal }),
      ...(tokenizer.separator === null ? {} : { stopToken: tokenizer.separator }),
    });
    texts.push(prompt + tokenizer.decode(added));
  }
  return texts;
}
