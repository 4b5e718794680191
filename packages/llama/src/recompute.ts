import { customGrad, engine, type GradSaveFunc, type Tensor, tidy, Variable, zerosLike } from '@tensorflow/tfjs-core';
import { ArgumentError } from './errors.js';

/** What tfjs notes down of the operations between an input and a loss, as far as it concerns us. */
interface Tape {
  readonly gradientDepth: number;
  activeTape: { readonly inputs: Readonly<Record<string, Tensor>>; readonly saved?: readonly Tensor[] }[] | null;
}

/**
 * `f(x)`, of which only `x` is kept for the backward pass: there `f` runs a second time, and what its operations keep is
 * freed before the operations in front of it have their turn. A chain of such segments holds one segment's activations
 * at a time, for the price of a second forward pass. In PyTorch: `torch.utils.checkpoint.checkpoint(f, x)`.
 *
 * Gradients are those of `f(x)` without it, bit for bit where `f` is: `f` must give the same value both times, so any
 * random numbers in it need a seed, and `variables` must not change between the passes. Frozen variables
 * (`trainable` false) get no gradient, unused ones one of zeros.
 *
 * @param f What to compute from `x`, `variables` and constants. It runs inside `tidy`.
 * @param x The input; it has a gradient.
 * @param variables All trainable variables that `f` uses.
 * @throws ArgumentError in the backward pass, if `f` uses a trainable variable that is not among `variables`: its
 *   gradient would be lost.
 * @see Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost.
 */
export function recompute<I extends Tensor, O extends Tensor>(
  f: (x: I) => O,
  x: I,
  variables: readonly Variable[] = [],
): O {
  const trained = variables.filter(({ trainable }) => trainable);
  const op = customGrad<O>((...args) => {
    (args[args.length - 1] as GradSaveFunc)([x]);
    const gradFunc = (dy: O, [kept]: Tensor[]): Tensor[] => tidy(() => gradientsOf(f, kept as I, trained, dy));
    return { value: tidy(() => f(x)), gradFunc };
  });
  return op(x, ...trained);
}

function gradientsOf<I extends Tensor>(
  f: (x: I) => Tensor,
  x: I,
  variables: readonly Variable[],
  dy: Tensor,
): Tensor[] {
  const state = engine().state as unknown as Tape;
  // The engine has one tape, and throws it away after the gradients of `f`; the rest of the backward pass needs it.
  const outer = state.activeTape;
  const nested = state.gradientDepth > 0;
  const inputs = [x, ...variables];
  try {
    const forward = (): Tensor => {
      const value = f(x);
      for (const node of (state.activeTape ?? []).slice(nested ? outer?.length : 0)) {
        requireListed(Object.values(node.inputs), variables);
      }
      return value;
    };
    const { grads } = engine().gradients(forward, inputs, dy, true);
    // The engine has no word for "no gradient" here.
    return inputs.map((input, i) => grads[i] ?? zerosLike(input));
  } catch (error) {
    if (!nested) for (const { saved = [] } of state.activeTape ?? []) for (const tensor of saved) tensor.dispose();
    throw error;
  } finally {
    if (!nested) state.activeTape = outer;
  }
}

function requireListed(inputs: readonly Tensor[], variables: readonly Variable[]): void {
  const missing = inputs.find(
    (input): input is Variable => input instanceof Variable && input.trainable && !variables.includes(input),
  );
  if (missing === undefined) return;
  throw new ArgumentError({
    parameter: 'variables',
    found: variables.map(({ name }) => name),
    expected: `all trainable variables that f uses: "${missing.name}" is one`,
    advice: 'Add it, or make it not trainable.',
  });
}
