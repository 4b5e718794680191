import {
  add,
  dispose,
  engine,
  keep,
  matMul,
  reshape,
  type Scalar,
  slice,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tensor,
  tensor2d,
  tidy,
  transpose,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import { type LlamaConfig, type LlamaConfigInput, llamaConfig } from './config.js';
import { ArgumentError } from './errors.js';
import {
  causalAttention,
  causalMask,
  embed,
  linearCrossEntropy,
  MAX_LOGITS,
  type RotaryTables,
  rmsNorm,
  rotaryFrequencies,
  rotaryTables,
  rotate,
  swiglu,
} from './ops.js';
import {
  assignWeights,
  EMBEDDING,
  FINAL_NORM,
  HEAD,
  initialValues,
  layerName,
  parameterSpecs,
  type WeightMap,
} from './parameters.js';
import { recompute } from './recompute.js';
import { shiftTokens, type Tokens, tokenTensor } from './token-dataset.js';

export interface LlamaOptions {
  /** Seed of the initial weights (default 0). Each tensor draws from (seed, its name): order plays no part. */
  readonly seed?: number;
  /**
   * Put before the names of the tf.Variables (default none). TensorFlow.js keeps one register of names, so a second
   * model alive at the same time needs one; {@link LlamaForCausalLM.parameters} is keyed without it.
   */
  readonly namePrefix?: string;
  /** Most logits in memory at once in {@link LlamaForCausalLM.loss}; default 2^22 (16 MiB). */
  readonly maxLogits?: number;
  /**
   * Keep only the input of each layer for the backward pass, and compute the layer again there (default false): the
   * memory of activations no longer grows by a layer's worth with each layer, for a second forward pass. The same
   * gradients. Also known as activation or gradient checkpointing.
   */
  readonly recompute?: boolean;
}

/** What takes the place of x · Wᵀ at a linear layer; `@frugaljs/adapters` makes some. */
export interface LinearAdapter {
  /** The trainable variables that `forward` uses besides the weight. */
  readonly variables: readonly Variable[];
  /**
   * @param x `[rows, in]`
   * @param weight `[out, in]`
   * @returns `[rows, out]`
   */
  forward(x: Tensor2D, weight: Tensor2D): Tensor2D;
}

interface Layer {
  readonly attentionNorm: Variable;
  readonly query: Variable;
  readonly key: Variable;
  readonly value: Variable;
  readonly output: Variable;
  readonly mlpNorm: Variable;
  readonly gate: Variable;
  readonly up: Variable;
  readonly down: Variable;
}

/**
 * The LLaMA decoder (Touvron et al. 2023) with a language model head, made of tfjs-core ops with gradients on every
 * backend. Weights are tf.Variables in Hugging Face's layout `(out, in)` and names.
 */
export class LlamaForCausalLM {
  readonly config: LlamaConfig;
  readonly #parameters: Readonly<Record<string, Variable>>;
  readonly #layers: readonly Layer[];
  readonly #tables: PositionTables;
  readonly #maxLogits: number;
  readonly #recompute: boolean;
  readonly #adapters: Map<Variable, LinearAdapter> = new Map();

  /**
   * @throws ConfigError for a configuration that makes no model, ArgumentError if a variable of a name it needs exists.
   */
  constructor(config: LlamaConfigInput | LlamaConfig, options: LlamaOptions = {}) {
    const { seed = 0, namePrefix = '', maxLogits = MAX_LOGITS, recompute: again = false } = options;
    this.config = llamaConfig(config as LlamaConfigInput);
    if (!Number.isSafeInteger(seed)) {
      throw new ArgumentError({ parameter: 'seed', found: seed, expected: 'an integer' });
    }
    if (!(maxLogits >= 1)) {
      throw new ArgumentError({ parameter: 'maxLogits', found: maxLogits, expected: 'a number of at least 1' });
    }
    if (typeof again !== 'boolean') {
      throw new ArgumentError({ parameter: 'recompute', found: again, expected: 'true or false' });
    }
    this.#maxLogits = maxLogits;
    this.#recompute = again;
    this.#parameters = createVariables(this.config, seed, namePrefix);
    this.#layers = Array.from({ length: this.config.num_hidden_layers }, (_, i) => layerOf(this.#parameters, i));
    this.#tables = new PositionTables(this.config);
  }

  /** The trainable variables by Hugging Face name, in the order of {@link parameterSpecs}. */
  parameters(): Readonly<Record<string, Variable>> {
    return this.#parameters;
  }

  /** The names of the matrices that may be adapted: those of the linear layers of all blocks. */
  linearLayers(): readonly string[] {
    return parameterSpecs(this.config)
      .filter(({ kind }) => kind === 'linear')
      .map(({ name }) => name);
  }

  /**
   * Lets an adapter compute a linear layer from now on, in every pass of the model; null takes it away.
   *
   * @param name One of {@link linearLayers}.
   * @throws ArgumentError if it is none, or has an adapter already.
   */
  adaptLinear(name: string, adapter: LinearAdapter | null): void {
    const weight = this.linearLayers().includes(name) ? this.#parameters[name]! : undefined;
    if (weight === undefined) {
      throw new ArgumentError({ parameter: 'name', found: name, expected: 'one of linearLayers()' });
    }
    if (adapter === null) {
      this.#adapters.delete(weight);
      return;
    }
    if (this.#adapters.has(weight)) {
      throw new ArgumentError({
        parameter: 'name',
        found: `${name}, which has an adapter`,
        expected: 'a layer without one',
        advice: 'Merge or remove the other adapter first.',
      });
    }
    this.#adapters.set(weight, adapter);
  }

  /**
   * Next-token logits of every position.
   *
   * @param tokens `[batch, length]`
   * @returns `[batch, length, vocab_size]`
   */
  forward(tokens: Tokens): Tensor3D {
    return tidy(() => {
      const ids = tokenTensor(tokens, this.config.vocab_size);
      const [batch, length] = ids.shape;
      return reshape(matMul(this.#hidden(ids), this.#head(), false, true), [batch, length, this.config.vocab_size]);
    });
  }

  /**
   * Logits of what follows one position: `forward` without computing the others' logits.
   *
   * @returns `[batch, vocab_size]`
   */
  logitsAt(tokens: Tokens, position: number): Tensor2D {
    return tidy(() => {
      const ids = tokenTensor(tokens, this.config.vocab_size);
      const [batch, length] = ids.shape;
      if (!Number.isInteger(position) || position < 0 || position >= length) {
        throw new ArgumentError({ parameter: 'position', found: position, expected: `an integer below ${length}` });
      }
      const hidden = reshape(this.#hidden(ids), [batch, length, -1]);
      const row = reshape(slice(hidden, [0, position, 0], [-1, 1, -1]), [batch, -1]) as Tensor2D;
      return matMul(row, this.#head(), false, true) as Tensor2D;
    });
  }

  /**
   * Mean cross-entropy in nats per token. With one argument `[batch, length+1]`, every token after the first of a row
   * is predicted from those before it; with two of `[batch, length]`, `targets` holds what follows each of `tokens`.
   */
  loss(tokens: Tokens, targets?: Tokens): Scalar {
    return tidy(() => {
      const ids = tokenTensor(tokens, this.config.vocab_size);
      const pair =
        targets === undefined
          ? shiftTokens(ids)
          : { inputs: ids, targets: tokenTensor(targets, this.config.vocab_size, 'targets') };
      if (`${pair.inputs.shape}` !== `${pair.targets.shape}`) {
        throw new ArgumentError({
          parameter: 'targets',
          found: pair.targets.shape,
          expected: `[${pair.inputs.shape}]`,
        });
      }
      const following = reshape(pair.targets, [-1]) as Tensor1D;
      return linearCrossEntropy(this.#hidden(pair.inputs), this.#head(), following, this.#maxLogits);
    });
  }

  /**
   * Replaces all weights.
   *
   * @param weights Tensors or host arrays by Hugging Face name. They stay the caller's.
   * @throws WeightsError listing every missing, unknown and misshapen tensor; nothing is changed then.
   */
  loadWeights(weights: WeightMap): void {
    assignWeights(this.config, this.#parameters, weights);
  }

  /** Frees the variables and the cached tables. */
  dispose(): void {
    this.#tables.dispose();
    for (const weight of Object.values(this.#parameters)) weight.dispose();
  }

  /** The normalized states in front of the head, `[batch · length, hidden_size]`. */
  #hidden(ids: Tensor2D): Tensor2D {
    const [batch, length] = ids.shape;
    if (length > this.config.max_position_embeddings) {
      throw new ArgumentError({
        parameter: 'tokens',
        found: `length ${length}`,
        expected: `at most max_position_embeddings = ${this.config.max_position_embeddings}`,
      });
    }
    const tables = this.#tables.get(length);
    let states = embed(this.#parameters[EMBEDDING] as Tensor2D, reshape(ids, [-1]) as Tensor1D);
    for (const layer of this.#layers) {
      const before = states;
      const through = (x: Tensor2D): Tensor2D => this.#mlp(layer, this.#attention(layer, x, batch, tables));
      states = this.#recompute ? recompute(through, before, this.#variablesOf(layer)) : tidy(() => through(before));
      // Under a gradient tape this frees only what no op of the backward pass asked to keep.
      before.dispose();
    }
    return rmsNorm(states, this.#parameters[FINAL_NORM] as Tensor1D, this.config.rms_norm_eps);
  }

  #attention(layer: Layer, states: Tensor2D, batch: number, tables: LengthTables): Tensor2D {
    const { head_dim: size, num_attention_heads: heads, num_key_value_heads: keyValueHeads } = this.config;
    const normed = rmsNorm(states, layer.attentionNorm as Tensor1D, this.config.rms_norm_eps);
    const split = (weight: Variable, count: number): Tensor4D =>
      transpose(reshape(this.#linear(normed, weight), [batch, -1, count, size]) as Tensor4D, [0, 2, 1, 3]);
    const q = rotate(split(layer.query, heads), tables.query);
    const k = rotate(split(layer.key, keyValueHeads), tables.key);
    const mixed = causalAttention(q, k, split(layer.value, keyValueHeads), tables.mask);
    const merged = reshape(transpose(mixed, [0, 2, 1, 3]), [-1, heads * size]) as Tensor2D;
    return add(states, this.#linear(merged, layer.output));
  }

  #mlp(layer: Layer, states: Tensor2D): Tensor2D {
    const normed = rmsNorm(states, layer.mlpNorm as Tensor1D, this.config.rms_norm_eps);
    const gated = swiglu(this.#linear(normed, layer.gate), this.#linear(normed, layer.up));
    return add(states, this.#linear(gated, layer.down));
  }

  #linear(x: Tensor2D, weight: Variable): Tensor2D {
    const adapter = this.#adapters.get(weight);
    return adapter?.forward(x, weight as Tensor2D) ?? matMul(x, weight as Tensor2D, false, true);
  }

  /** The variables that a layer is computed from, those of its adapters included. */
  #variablesOf(layer: Layer): Variable[] {
    return Object.values(layer).flatMap((weight: Variable) => [
      weight,
      ...(this.#adapters.get(weight)?.variables ?? []),
    ]);
  }

  #head(): Tensor2D {
    return this.#parameters[this.config.tie_word_embeddings ? EMBEDDING : HEAD] as Tensor2D;
  }
}

function createVariables(config: LlamaConfig, seed: number, prefix: string): Record<string, Variable> {
  const specs = parameterSpecs(config);
  const registered = engine().registeredVariables;
  const taken = specs.find(({ name }) => registered[prefix + name] !== undefined);
  if (taken !== undefined) {
    throw new ArgumentError({
      parameter: 'namePrefix',
      found: prefix,
      expected: `a prefix that makes the variable names new: "${prefix}${taken.name}" exists`,
      advice: 'Dispose the other model, or give this one a namePrefix of its own.',
    });
  }
  const variables: Record<string, Variable> = {};
  for (const spec of specs) {
    const initial = tensor(initialValues(spec, seed, config.initializer_range), spec.shape as number[]);
    variables[spec.name] = variable(initial, true, prefix + spec.name);
    initial.dispose();
  }
  return Object.freeze(variables);
}

function layerOf(parameters: Readonly<Record<string, Variable>>, index: number): Layer {
  const part = (name: string): Variable => parameters[layerName(index, name)]!;
  return {
    attentionNorm: part('input_layernorm'),
    query: part('self_attn.q_proj'),
    key: part('self_attn.k_proj'),
    value: part('self_attn.v_proj'),
    output: part('self_attn.o_proj'),
    mlpNorm: part('post_attention_layernorm'),
    gate: part('mlp.gate_proj'),
    up: part('mlp.up_proj'),
    down: part('mlp.down_proj'),
  };
}

/** The constants of a forward pass that depend on the sequence length alone. */
interface LengthTables {
  /** Includes the `1/√headDim` of attention. */
  readonly query: RotaryTables;
  readonly key: RotaryTables;
  readonly mask: Tensor2D;
}

/** Builds {@link LengthTables} once per sequence length and keeps them until `dispose`. */
class PositionTables {
  readonly #headDim: number;
  readonly #frequencies: Float64Array;
  readonly #byLength: Map<number, LengthTables> = new Map();

  constructor(config: LlamaConfig) {
    const { head_dim: headDim, rope_theta: theta, rope_scaling: scaling = null } = config;
    this.#headDim = headDim;
    this.#frequencies = rotaryFrequencies(headDim, theta, scaling);
  }

  get(length: number): LengthTables {
    let tables = this.#byLength.get(length);
    if (tables === undefined) {
      const scale = 1 / Math.sqrt(this.#headDim);
      tables = {
        query: this.#rotary(length, scale),
        key: this.#rotary(length, 1),
        mask: keep(tensor2d(causalMask(length), [length, length])),
      };
      this.#byLength.set(length, tables);
    }
    return tables;
  }

  dispose(): void {
    for (const { query, key, mask } of this.#byLength.values()) {
      dispose([query.cosines, query.sines, key.cosines, key.sines, mask]);
    }
    this.#byLength.clear();
  }

  #rotary(length: number, scale: number): RotaryTables {
    const { cosines, sines } = rotaryTables(length, this.#frequencies, scale);
    return {
      cosines: keep(tensor2d(cosines, [length, this.#headDim])),
      sines: keep(tensor2d(sines, [length, this.#headDim])),
    };
  }
}
