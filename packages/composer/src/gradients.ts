import {
  DisposedError,
  type Graph,
  InvalidOptionError,
  type KernelSet,
  MissingGradientError,
  ShapeMismatchError,
  sameShape,
  select,
  Tracer,
  UnknownNameError,
} from '@frugaljs/core';
import {
  add,
  dispose,
  div,
  engine,
  greater,
  keep,
  mul,
  type Scalar,
  scalar,
  Tensor,
  type TensorContainer,
  tidy,
  type Variable,
  where,
} from '@tensorflow/tfjs-core';
import { type Gate, gated } from './finite-check.js';

/** A tensor under the name of its variable, as tfjs passes them around. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** The two forms in which tfjs hands gradients to an optimizer. */
export type Gradients = Readonly<Record<string, Tensor | null | undefined>> | readonly NamedTensor[];

/** A variable with its gradient. */
export interface VariableGradient {
  readonly name: string;
  readonly variable: Variable;
  readonly gradient: Tensor;
}

/** The trainable variables of a set of gradients, and those of them that have one. */
export interface ReadGradients {
  readonly variables: readonly Variable[];
  readonly entries: readonly VariableGradient[];
}

/**
 * Looks up the variables of a set of gradients and checks each pair; changes nothing.
 *
 * @param onMissing What a null gradient of a trainable variable does.
 * @param trained Tells whether a variable of a name was trained before.
 */
export function readGradients(
  gradients: Gradients,
  onMissing: 'throw' | 'skip',
  trained: { knows(name: string): boolean },
): ReadGradients {
  requireGradients(gradients);
  const pairs: readonly (readonly [string, Tensor | null | undefined])[] = Array.isArray(gradients)
    ? (gradients as readonly NamedTensor[]).map(({ name, tensor }) => [name, tensor] as const)
    : Object.entries(gradients as Readonly<Record<string, Tensor | null | undefined>>);
  const variables: Variable[] = [];
  const entries: VariableGradient[] = [];
  if (pairs.length === 0) throw noGradients();
  if (Array.isArray(gradients)) requireOnce(pairs);
  for (const [name, gradient] of pairs) {
    const variable = findVariable(name, trained);
    const isMissing = gradient === null || gradient === undefined;
    if (isMissing && !variable.trainable) continue;
    variables.push(variable);
    if (!isMissing) {
      requireFit(name, variable, gradient);
      entries.push({ name, variable, gradient });
    } else if (onMissing === 'throw') {
      throw new MissingGradientError({
        parameter: `gradient of "${name}"`,
        found: String(gradient),
        expected: `a tensor of shape [${variable.shape}]`,
        advice: 'Leave the variable out, set trainable to false, or compose with onMissingGradient: "skip".',
      });
    }
  }
  return { variables, entries };
}

/** An update of nothing would count in schedules and refreshes all the same. */
function noGradients(): MissingGradientError {
  return new MissingGradientError({
    parameter: 'applyGradients',
    found: 'none',
    expected: 'the gradient of at least one variable',
    advice: 'Pass the grads of variableGrads(f), of a loss that depends on trainable variables.',
  });
}

/**
 * Parameters in the order in which their variables were made, which no listing changes; names without a variable come
 * last, as they were listed.
 */
export function inCreationOrder<P extends { readonly name: string }>(parameters: readonly P[]): P[] {
  const { registeredVariables } = engine();
  const made = ({ name }: P): number => registeredVariables[name]?.id ?? Number.MAX_SAFE_INTEGER;
  return [...parameters].sort((a, b) => made(a) - made(b));
}

/** Twice in a list, a variable would take two steps in one update. */
function requireOnce(pairs: readonly (readonly [string, unknown])[]): void {
  if (new Set(pairs.map(([name]) => name)).size === pairs.length) return;
  const twice = pairs.find(([name], i) => pairs.findIndex(([other]) => other === name) < i)!;
  throw new InvalidOptionError({
    parameter: `gradient of "${twice[0]}"`,
    found: 'several in one list',
    expected: 'one gradient for each variable',
    advice: 'Add them up, or list the variable once.',
  });
}

/** A Map has no entries that `Object.entries` finds: it would train nothing, in silence. */
function requireGradients(gradients: unknown): void {
  const named = (each: unknown): boolean => typeof (each as NamedTensor | null)?.name === 'string';
  const isList = Array.isArray(gradients);
  if (isList && gradients.every(named)) return;
  const isRecord = typeof gradients === 'object' && gradients !== null && !(Symbol.iterator in gradients);
  if (isRecord && !(gradients instanceof Tensor)) return;
  throw new InvalidOptionError({
    parameter: 'applyGradients',
    found: isList ? 'a list in which something has no name' : gradients,
    expected: 'tensors by the names of their variables, as in variableGrads(f).grads, or a list of { name, tensor }',
  });
}

function findVariable(name: string, trained: { knows(name: string): boolean }): Variable {
  const variable = engine().registeredVariables[name];
  if (variable !== undefined) return variable;
  if (trained.knows(name)) {
    throw new DisposedError({
      parameter: `variable "${name}"`,
      found: 'a variable that was disposed after earlier updates',
      expected: 'a live variable',
      advice: 'Dispose the optimizer together with the model and compose a new one.',
    });
  }
  throw new UnknownNameError({
    parameter: `gradient of "${name}"`,
    found: 'a name that no live tf.Variable has',
    expected: `one of ${Object.keys(engine().registeredVariables).slice(0, 20).join(', ') || '(there are no variables)'}`,
    advice:
      name === 'grads' || name === 'value'
        ? 'Pass the grads of what variableGrads returns.'
        : 'Gradients are matched to variables by name; a disposed variable no longer has one.',
  });
}

function requireFit(name: string, variable: Variable, gradient: Tensor): void {
  if (variable.dtype !== 'float32') {
    throw new ShapeMismatchError({
      parameter: `variable "${name}"`,
      found: `a variable of type ${variable.dtype}`,
      expected: 'a float32 variable',
      advice: 'Make it float32, or set trainable to false if it only counts or indexes.',
    });
  }
  if (!(gradient instanceof Tensor)) {
    throw new ShapeMismatchError({
      parameter: `gradient of "${name}"`,
      found: gradient,
      expected: `a float32 tensor of shape [${variable.shape}]`,
    });
  }
  if (gradient.isDisposed) {
    throw new DisposedError({
      parameter: `gradient of "${name}"`,
      found: 'a disposed tensor',
      expected: 'a live tensor',
      advice: 'Dispose gradients after applyGradients, not before.',
    });
  }
  if (!sameShape(gradient.shape, variable.shape) || gradient.dtype !== 'float32') {
    throw new ShapeMismatchError({
      parameter: `gradient of "${name}"`,
      found: `a ${gradient.dtype} tensor of shape [${gradient.shape}]`,
      expected: `a float32 tensor of shape [${variable.shape}]`,
    });
  }
}

/**
 * The function that gives the loss, with what it gives checked before tfjs goes back through it.
 *
 * @throws InvalidOptionError for what is no function, and when called, for a result that is no scalar.
 */
export function lossFunction(f: unknown): () => Scalar {
  if (typeof f !== 'function') {
    throw new InvalidOptionError({
      parameter: 'minimize',
      found: f,
      expected: 'a function that computes the loss, such as () => mean(square(sub(model(x), y)))',
      ...(f instanceof Tensor ? { advice: 'Gradients need the computation: put it into the function.' } : {}),
    });
  }
  return () => {
    const loss: unknown = f();
    if (loss instanceof Tensor && loss.rank === 0) return loss as Scalar;
    const isPromise = typeof (loss as PromiseLike<unknown> | null | undefined)?.then === 'function';
    // What it rejects with would come up later as an error of its own.
    if (isPromise) Promise.resolve(loss).catch(() => {});
    throw new InvalidOptionError({
      parameter: 'the loss of minimize',
      found: isPromise ? 'a promise' : loss instanceof Tensor ? `a tensor of shape [${loss.shape}]` : loss,
      expected: 'a scalar tensor',
      advice: isPromise
        ? 'Await what takes time before minimize, and compute the loss in a function that is not async.'
        : loss instanceof Tensor
          ? 'Take the mean or the sum of it.'
          : 'Return the loss, a tf.Tensor, from the function.',
    });
  };
}

const NOT_FOUND = /gradient function not found for (\w+)/;

/**
 * Runs what computes gradients. tfjs registers no gradient by itself: where that was forgotten, its error names an
 * operation, and this one what to import. Frees all that was made when something throws.
 *
 * @throws MissingGradientError if tfjs has no gradient of an operation, and whatever `compute` throws.
 */
export function explainingGradients<Result extends TensorContainer>(compute: () => Result): Result {
  try {
    return tidy(compute);
  } catch (error) {
    freeTape();
    const operation = NOT_FOUND.exec(String(error))?.[1];
    if (operation === undefined) throw error;
    throw new MissingGradientError(
      {
        parameter: `gradient of the operation ${operation}`,
        found: 'none that is registered with tfjs',
        expected: 'a gradient function',
        advice: "import '@tensorflow/tfjs-layers', which registers those of tfjs; the operation may also have none.",
      },
      error,
    );
  }
}

/** Frees what tfjs has kept for a backward pass that is not made, since the loss or a gradient function threw. */
function freeTape(): void {
  const { state } = engine();
  // Within gradients of gradients the outer tape goes on.
  if (state.gradientDepth > 0) return;
  for (const { saved } of state.activeTape ?? []) dispose(saved ?? []);
  (state as { activeTape: unknown }).activeTape = null;
}

/** sum ← sum + g, for all or (where the device tells) for an update that happens. */
const [ADD, ADD_GATED] = [false, true].map(isGated => {
  const tracer = new Tracer();
  const [sum, g] = [tracer.input('sum', 'element'), tracer.input('g', 'element')];
  const added = isGated ? select(tracer.input('proceed', 'tensor'), g, 0) : g;
  return tracer.graph({ sum: sum.add(added) }, { sum: 'element' });
}) as [Graph, Graph];

/** One cycle of an accumulation, from one update to the next. */
interface Cycle {
  /** Rounds summed, without those that are known to have been skipped. */
  rounds: number;
}

/**
 * Sums gradients until there are enough for one update, then hands out their mean. Signs and norms are taken of the
 * mean, never of a single gradient. A variable without a gradient in one round contributes zero to it.
 *
 * Where rounds are checked on the device, one that is not finite adds nothing there, and the mean is that of the others.
 */
export class GradientAccumulator {
  private cycle: Cycle = { rounds: 0 };
  /** Rounds that are in the sums, on the device; null where every round is. */
  private good: Tensor | null = null;
  private readonly sums = new Map<string, Tensor>();
  private readonly variables = new Map<string, Variable>();

  constructor(private readonly every: number) {}

  /** Rounds summed since the last update; one that the device skips counts until that is known. */
  get count(): number {
    return this.cycle.rounds;
  }

  /** True when the mean is due with the next round. */
  get isLast(): boolean {
    return this.cycle.rounds + 1 >= this.every;
  }

  /**
   * Adds one round, whole or not at all: all tensors that it takes are made before the first sum changes. With kernels the
   * sums then grow in place; by tfjs operations there are two of each until the round is in.
   */
  add(gradients: readonly VariableGradient[], gate: Gate | null, kernels: KernelSet | null): void {
    const { cycle } = this;
    const owned = kernels === null ? null : this.owned(gradients, kernels);
    const sums = new Map<string, Tensor>();
    const good = tidy(() => {
      const fresh = gradients.filter(({ name }) => owned?.has(name) !== true);
      for (const { name, gradient } of fresh) sums.set(name, this.sumWith(name, gradient, gate));
      const count = this.goodWith(gate);
      for (const each of [...sums.values(), ...(count === null ? [] : [count])]) keep(each);
      return count ?? [];
    });
    const proceed: Record<string, Tensor> = gate === null ? {} : { proceed: gate.proceed };
    for (const { name, variable, gradient } of gradients) {
      const sum = sums.get(name);
      if (sum !== undefined) this.set(name, sum);
      else {
        const tensors = { sum: this.sums.get(name)!, g: gradient, ...proceed };
        kernels!.run(gate === null ? ADD : ADD_GATED, tensors, {}, gradient.shape, { sum: 'sum' });
      }
      this.variables.set(name, variable);
    }
    this.good?.dispose();
    this.good = good instanceof Tensor ? good : null;
    cycle.rounds += 1;
    gate?.ifSkipped(() => {
      cycle.rounds -= 1;
    });
  }

  /**
   * The means that the last round completes, which the caller disposes; NaN when no round was good. The sums stay as they
   * were before that round: an update that fails can be tried again, and after one that was made they are {@link reset}.
   *
   * @returns Also the cycle that ends here: its rounds fall to 0 when it becomes known that all were skipped.
   */
  complete(
    gradients: readonly VariableGradient[],
    gate: Gate | null,
  ): { readonly means: readonly VariableGradient[]; readonly cycle: Readonly<Cycle> } {
    const { cycle } = this;
    const added = new Map(gradients.map(({ name, gradient }) => [name, gradient]));
    const variables = new Map([...this.variables, ...gradients.map(({ name, variable }) => [name, variable] as const)]);
    const means = tidy(() => {
      const good = this.goodWith(gate);
      const rounds = good === null ? this.every : where(greater(good, 0), good, scalar(Number.NaN));
      const all = [...variables].map(([name, variable]) => {
        return { name, variable, gradient: tidy(() => div<Tensor>(this.sumWith(name, added.get(name), gate), rounds)) };
      });
      for (const { gradient } of all) keep(gradient);
      return all;
    });
    let last = 1;
    gate?.ifSkipped(() => {
      last = 0;
    });
    return {
      means,
      cycle: {
        get rounds() {
          return cycle.rounds + last;
        },
      },
    };
  }

  /** Leaves a variable out. */
  forget(name: string): void {
    this.sums.get(name)?.dispose();
    this.sums.delete(name);
    this.variables.delete(name);
  }

  /** The sum of a variable's gradients, which stays the accumulator's own. */
  sumOf(name: string): Tensor | undefined {
    return this.sums.get(name);
  }

  /** Continues from a saved sum; copies it. */
  restore(variable: Variable, sum: Tensor): void {
    this.set(variable.name, sum.clone());
    this.variables.set(variable.name, variable);
  }

  /** Forgets all sums. @param rounds How many there will be when saved sums are restored. */
  reset(rounds = 0): void {
    for (const sum of this.sums.values()) sum.dispose();
    this.sums.clear();
    this.variables.clear();
    this.good?.dispose();
    this.good = null;
    this.cycle = { rounds };
  }

  /** The sum of a variable with one more round, in which it may have had no gradient. */
  private sumWith(name: string, gradient: Tensor | undefined, gate: Gate | null): Tensor {
    const sum = this.sums.get(name);
    if (gradient === undefined) return sum!;
    const added = gate === null ? gradient : gated(gate, gradient, 0);
    return sum === undefined ? added.clone() : add(sum, added);
  }

  /** How many rounds are in the sums with one more; null where the host knows. */
  private goodWith(gate: Gate | null): Tensor | null {
    if (gate === null && this.good === null) return null;
    return add(this.good ?? this.cycle.rounds, gate?.proceed ?? 1);
  }

  /** The variables whose sum can be written in place, once copies are made of what somebody else holds too. */
  private owned(gradients: readonly VariableGradient[], kernels: KernelSet): ReadonlySet<string> {
    const names = gradients.map(({ name }) => name).filter(name => this.sums.has(name));
    for (const name of names) {
      const sum = this.sums.get(name)!;
      if (!kernels.isSole(sum)) this.set(name, mul(sum, 1));
    }
    return new Set(names);
  }

  private set(name: string, sum: Tensor): void {
    this.sums.get(name)?.dispose();
    this.sums.set(name, keep(sum));
  }
}
