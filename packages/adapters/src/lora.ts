import {
  didYouMean,
  InvalidOptionError,
  randomKey,
  randomUniform,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  UnknownNameError,
} from '@frugaljs/core';
import {
  add,
  customGrad,
  engine,
  matMul,
  mul,
  type Tensor,
  type Tensor2D,
  tensor2d,
  tidy,
  type Variable,
  variable,
  zeros,
} from '@tensorflow/tfjs-core';

/** What takes the place of x · Wᵀ at a linear layer. */
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

/** A model whose linear layers can be adapted; `LlamaForCausalLM` is one. */
export interface AdaptableModel {
  /** All its own variables by name. Those of linear layers are `(out, in)`, and their names end in `.weight`. */
  parameters(): Readonly<Record<string, Variable>>;
  /** The names, among these, of the matrices that may be adapted. */
  linearLayers(): readonly string[];
  /** Lets an adapter compute a layer from now on; null takes it away. */
  adaptLinear(name: string, adapter: LinearAdapter | null): void;
}

/** Modules to adapt: the end of their name (`q_proj`, or `layers.0.mlp.up_proj`), or an expression that it matches. */
export type TargetModule = string | RegExp;

export interface LoraOptions {
  /** The rank r. Default 8. */
  readonly r?: number;
  /** α: the product B A is scaled by α/r. Default 8. */
  readonly loraAlpha?: number;
  /** Scale by α/√r instead, which keeps large ranks from learning slowly (Kalajdzievski 2023). Default false. */
  readonly useRslora?: boolean;
  /** What to adapt. Default `all-linear`: all linear layers of the blocks. */
  readonly targetModules?: 'all-linear' | TargetModule | readonly TargetModule[];
  /** Here for those who bring PEFT's options along: 0, as there is no dropout. */
  readonly loraDropout?: 0;
  /** Seed of A (default 0). Each A draws from (seed, the name of its layer): order plays no part. */
  readonly seed?: number;
}

/** The options of an adapter, all of them known. */
export interface LoraConfig {
  readonly r: number;
  readonly loraAlpha: number;
  readonly useRslora: boolean;
  /** Full names of the adapted modules, in the order of the model. */
  readonly modules: readonly string[];
  readonly seed: number;
}

/**
 * LoRA: y = x Wᵀ + s (x Aᵀ) Bᵀ with A `(r, in)`, B `(out, r)` and s = α/r, in place of the full y = x Wᵀ. W is frozen: it
 * has no gradient and no optimizer state. A starts uniform on ±1/√in and B at 0, so that the model is at first what it was.
 *
 *     dB = s (dyᵀ x) Aᵀ = s · dyᵀ (x Aᵀ)          dA = s Bᵀ (dyᵀ x) = s · (dy B)ᵀ x
 *
 * Forward and backward pass multiply from the narrow side, as on the right: nothing of the size of W is made.
 *
 * From its construction to {@link Lora.mergeAndUnload} or {@link Lora.unload} the model computes with the adapter in every
 * pass, and all its own variables are frozen, as in PEFT. What to train is {@link Lora.parameters}.
 *
 * Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022 (arXiv 2106.09685), section 4.1.
 */
export class Lora {
  readonly model: AdaptableModel;
  readonly config: LoraConfig;
  /** s: α/r, or α/√r. */
  readonly scale: number;
  readonly #layers: readonly LoraLayer[];
  /** Variables of the model that were trainable before. */
  readonly #frozen: readonly Variable[];
  #isLoaded = true;

  /** @throws InvalidOptionError for options outside their domain, or a module to adapt that the model does not have. */
  constructor(model: AdaptableModel, options: LoraOptions = {}) {
    const { targetModules, ...numbers } = checked(options);
    const weights = model.parameters();
    const names = targetsOf(model.linearLayers(), targetModules);
    requireNew(
      model,
      names.map(name => weights[name]!.name),
    );
    this.model = model;
    this.config = { ...numbers, modules: names.map(moduleOf) };
    const { r, loraAlpha, useRslora } = numbers;
    this.scale = loraAlpha / (useRslora ? Math.sqrt(r) : r);
    this.#layers = names.map(name => new LoraLayer(name, weights[name]!, r, this.scale));
    this.#frozen = Object.values(weights).filter(({ trainable }) => trainable);
    this.#initialize(0);
    for (const weight of this.#frozen) weight.trainable = false;
    for (const layer of this.#layers) model.adaptLinear(layer.name, layer);
    ADAPTED.add(model);
  }

  /** A and B by name, the only trainable variables: `model.layers.0.self_attn.q_proj.lora_A.weight`. */
  parameters(): Readonly<Record<string, Variable>> {
    return Object.fromEntries(
      this.#layers.flatMap(({ name, a, b }) => [[partOf(name, 'A'), a] as const, [partOf(name, 'B'), b] as const]),
    );
  }

  /**
   * Adds the adapters to the weights, W ← W + s B A, and starts them anew: A from (seed, name, restart), B at 0. The model
   * computes what it did before, up to rounding.
   *
   * @param restart How often they are started anew by now; the first values had 0.
   */
  restart(restart: number): void {
    this.#requireLoaded();
    requireInteger('restart', restart, 1);
    this.#merge();
    this.#initialize(restart);
  }

  /**
   * Adds the adapters to the weights and removes them. The model is then as any other, with the variables trainable that
   * were before.
   */
  mergeAndUnload(): void {
    this.#requireLoaded();
    this.#merge();
    this.unload();
  }

  /**
   * The weight that merging would give, W + s B A; nothing changes. It is the caller's to dispose.
   *
   * @param name Any of the model's parameters; one without an adapter is given as it is.
   */
  merged(name: string): Tensor {
    this.#requireLoaded();
    const weight = this.model.parameters()[name];
    if (weight === undefined) {
      throw new UnknownNameError({ parameter: 'name', found: name, expected: 'the name of a parameter of the model' });
    }
    return this.#layers.find(layer => layer.weight === weight)?.merged() ?? weight.clone();
  }

  /** Removes the adapters and frees A and B; the model is what it was before it had them. */
  unload(): void {
    if (!this.#isLoaded) return;
    this.#isLoaded = false;
    for (const { name, a, b } of this.#layers) {
      this.model.adaptLinear(name, null);
      a.dispose();
      b.dispose();
    }
    for (const weight of this.#frozen) weight.trainable = true;
    ADAPTED.delete(this.model);
  }

  /** Gives A its first values, or those after a number of restarts, and B zeros. */
  #initialize(restart: number): void {
    for (const layer of this.#layers) layer.initialize(this.config.seed, restart);
  }

  #merge(): void {
    for (const layer of this.#layers) {
      const merged = layer.merged();
      layer.weight.assign(merged);
      merged.dispose();
    }
  }

  #requireLoaded(): void {
    if (this.#isLoaded) return;
    throw new InvalidOptionError({
      parameter: 'lora',
      found: 'an adapter that was removed from its model',
      expected: 'one that is there',
      advice: 'Make a new one: new Lora(model, options).',
    });
  }
}

/** A and B of one linear layer. */
class LoraLayer implements LinearAdapter {
  readonly a: Variable;
  readonly b: Variable;

  constructor(
    readonly name: string,
    readonly weight: Variable,
    r: number,
    private readonly scale: number,
  ) {
    const [rows, columns] = weight.shape as [number, number];
    [this.a, this.b] = tidy(() => [
      variable(zeros([r, columns]), true, partOf(weight.name, 'A')),
      variable(zeros([rows, r]), true, partOf(weight.name, 'B')),
    ]);
  }

  get variables(): readonly Variable[] {
    return [this.a, this.b];
  }

  forward(x: Tensor2D, weight: Tensor2D): Tensor2D {
    return tidy(() => {
      // Scaled where it is narrow.
      const narrow = mul(matMul(x, this.a as Tensor2D, false, true), this.scale) as Tensor2D;
      return sum(matMul(x, weight, false, true), matMul(narrow, this.b as Tensor2D, false, true));
    });
  }

  /** W + s B A. */
  merged(): Tensor2D {
    return tidy(() => add(this.weight, mul(matMul(this.b as Tensor2D, this.a as Tensor2D), this.scale)));
  }

  /** PEFT's: Kaiming-uniform with a = √5, which is uniform on ±1/√in, for A, and 0 for B. */
  initialize(seed: number, restart: number): void {
    const [r, columns] = this.a.shape as [number, number];
    const key = randomKey(seed, this.name, 'lora_A', restart);
    const bound = 1 / Math.sqrt(columns);
    const values = Float32Array.from({ length: r * columns }, (_, i) => bound * (2 * randomUniform(key, i) - 1));
    tidy(() => {
      this.a.assign(tensor2d(values, [r, columns]));
      this.b.assign(zeros(this.b.shape));
    });
  }
}

/** x + y, of which nothing is kept for the backward pass, where `add` keeps both: two more activations for each layer. */
const sum = customGrad<Tensor2D>((x, y) => ({
  value: add(x as Tensor2D, y as Tensor2D),
  gradFunc: dy => [dy.clone(), dy.clone()],
})) as (x: Tensor2D, y: Tensor2D) => Tensor2D;

/** The shapes of the variables that {@link Lora} adds to a model, from the shapes of its matrices: nothing is made. */
export function loraShapes(
  matrices: readonly { readonly name: string; readonly shape: readonly number[] }[],
  options: Pick<LoraOptions, 'r' | 'targetModules'> = {},
): { readonly name: string; readonly shape: readonly number[] }[] {
  const { r, targetModules } = checked(options);
  const shapes = new Map(matrices.map(({ name, shape }) => [name, shape] as const));
  return targetsOf([...shapes.keys()], targetModules).flatMap(name => {
    const [rows, columns] = shapes.get(name) as readonly [number, number];
    return [
      { name: partOf(name, 'A'), shape: [r, columns] },
      { name: partOf(name, 'B'), shape: [rows, r] },
    ];
  });
}

const KEYS: readonly (keyof LoraOptions)[] = ['r', 'loraAlpha', 'useRslora', 'targetModules', 'loraDropout', 'seed'];

function checked(options: LoraOptions) {
  requireKnownKeys('lora', options, KEYS);
  const { r = 8, loraAlpha = 8, useRslora = false, targetModules = 'all-linear', seed = 0 } = options;
  requireInteger('lora.r', r, 1);
  requireNumber('lora.loraAlpha', loraAlpha, '(0, Infinity)');
  requireBoolean('lora.useRslora', useRslora);
  requireInteger('lora.seed', seed, Number.NEGATIVE_INFINITY);
  if ((options.loraDropout ?? 0) !== 0) {
    throw new InvalidOptionError({
      parameter: 'lora.loraDropout',
      found: options.loraDropout,
      expected: '0: dropout is not supported',
      advice: 'Leave it out.',
    });
  }
  return { r, loraAlpha, useRslora, targetModules, seed };
}

/** The weights among `layers` that targets name, in the order of the layers. */
function targetsOf(layers: readonly string[], targets: NonNullable<LoraOptions['targetModules']>): readonly string[] {
  if (targets === 'all-linear') return layers;
  const list = Array.isArray(targets) ? (targets as readonly TargetModule[]) : [targets as TargetModule];
  const isNamed = (name: string, target: TargetModule): boolean => {
    const module = moduleOf(name);
    // A copy: an expression with the flag g remembers where it was.
    if (target instanceof RegExp) return new RegExp(target).test(module);
    return module === target || module.endsWith(`.${target}`);
  };
  const unmatched = list.find(target => !layers.some(name => isNamed(name, target)));
  if (list.length === 0 || unmatched !== undefined) {
    const last = [...new Set(layers.map(name => moduleOf(name).split('.').at(-1)!))];
    throw new InvalidOptionError({
      parameter: 'lora.targetModules',
      found: unmatched === undefined ? [] : String(unmatched),
      expected: `linear layers that can be adapted: all-linear, or some of ${last.join(', ')}`,
      ...didYouMean(unmatched, last),
    });
  }
  return layers.filter(name => list.some(target => isNamed(name, target)));
}

/** The module that a weight belongs to. */
function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, '');
}

function partOf(weight: string, part: 'A' | 'B'): string {
  return `${moduleOf(weight)}.lora_${part}.weight`;
}

/** Models that compute with adapters. */
const ADAPTED = new WeakSet<AdaptableModel>();

/** Of two adapters, the first that is unloaded would make the weights under the other trainable. */
function requireNew(model: AdaptableModel, weights: readonly string[]): void {
  const { registeredVariables } = engine();
  const taken = weights.find(name => registeredVariables[partOf(name, 'A')] !== undefined);
  if (taken === undefined && !ADAPTED.has(model)) return;
  throw new InvalidOptionError({
    parameter: 'model',
    found: taken === undefined ? 'one that has an adapter on other layers' : `${taken}, which has an adapter`,
    expected: 'a model without adapters',
    advice: 'Call mergeAndUnload() or unload() of the other one first; one adapter takes any list of layers.',
  });
}
