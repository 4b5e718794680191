import {
  backendTraits,
  type CheckLimits,
  type CheckReport,
  type CheckResult,
  type FiniteCheck,
  type KernelSet,
  NonFiniteGradientError,
  type NumberedGradient,
} from '@frugaljs/core';
import {
  add,
  dispose,
  div,
  equal,
  getBackend,
  greater,
  isNaN as isNaNTensor,
  keep,
  logicalAnd,
  maximum,
  minimum,
  mul,
  onesLike,
  scalar,
  sqrt,
  square,
  stack,
  sub,
  sum,
  type Tensor,
  tidy,
  where,
} from '@tensorflow/tfjs-core';
import type { Clip, NonFinitePolicy } from './options.js';

// Before an update all its gradients are looked at, for NaN and Inf and for their norm. Where a number can be read back
// at once, the host knows what they hold before anything changes. Where it cannot (webgpu), the device decides: the update
// is handed to it with a gate, and the host learns later whether it happened. All that follows from not knowing is here;
// the rest of the package sees a gate, or null.

/** An update that the device may skip, which the host does not know yet. */
export interface Gate {
  /** One number, on the device: 1 when the update is to happen, 0 when all must stay as it is. */
  readonly proceed: Tensor;
  /** Has what was counted taken back when it becomes known that the update was skipped. */
  ifSkipped(takeBack: () => void): void;
}

/** What was found in the gradients of an update that may happen. */
export interface Checked {
  /** What gradients are multiplied by to clip their global norm: a number, or one on the device. */
  readonly factor: number | Tensor;
  /** Sums of the gradients' entries may overflow before the factor has made them small; true where only the device knows. */
  readonly isHuge: boolean;
  /** Null where the host knows that the update happens. */
  readonly gate: Gate | null;
}

interface NamedGradient {
  readonly name: string;
  readonly gradient: Tensor;
}

const FINE: Checked = { factor: 1, isHuge: false, gate: null };

/** The product of a gradient with an orthonormal matrix has no entry above the norm of the gradient. */
const HUGE_NORM: number = 2 ** 120;

/** A sum of squares beyond this has overflowed; that of entries times {@link SMALL} is then taken. */
const LARGEST = 3.4e38;
/** Makes the squares of the largest numbers finite. */
const SMALL: number = 2 ** -80;

/** `next` where the update happens, else `current`, entry by entry and also when `next` is NaN. */
export function gated(gate: Pick<Gate, 'proceed'>, next: Tensor, current: Tensor | number): Tensor {
  return where(greater(gate.proceed, 0), next, typeof current === 'number' ? scalar(current) : current);
}

/**
 * A gradient as the rules see it: entries limited to ±`clipValue`, then scaled by `factor`, which clips the norm of all
 * gradients together. The same tensor when there is nothing to do.
 */
export function clipped(gradient: Tensor, clipValue: number | undefined, factor: number | Tensor): Tensor {
  // Not clipByValue, which on wasm makes a limit of NaN.
  const limited = clipValue === undefined ? gradient : minimum(maximum(gradient, -clipValue), clipValue);
  return factor === 1 ? limited : mul(limited, factor);
}

/** Checks the gradients of one optimizer, and keeps account of the updates that only the device knows the fate of. */
export class GradientCheck {
  private onDevice: FiniteCheck | null = null;
  /** Checks work on the backend they were made on. */
  private backend = '';
  private readonly ids = new Map<string, number>();
  /** For each checked update that is not known of yet, the earliest first: what to take back if it was skipped. */
  private pending: (() => void)[][] = [];
  private reading: Promise<void> | null = null;
  private failure: unknown = null;

  constructor(private readonly policy: NonFinitePolicy) {}

  /**
   * Makes at most one pass over the gradients of an update, or of a round of an accumulation: for their norm when it is
   * clipped, which tells of NaN and Inf too, else to look for those alone. The policy holds for the gradients as they
   * came: an infinite entry is none the better for a limit. The caller hands the result to {@link done}.
   *
   * @returns Null when the update is to be skipped.
   * @throws NonFiniteGradientError under the policy `throw`, where the host knows.
   */
  check(gradients: readonly NamedGradient[], { value, globalNorm }: Clip, kernels: KernelSet | null): Checked | null {
    if (gradients.length === 0) return FINE;
    const { readsAtOnce } = kernels?.traits ?? backendTraits();
    if (!readsAtOnce) return this.checkOnDevice(gradients, { value, globalNorm }, kernels);
    const squares = globalNorm === undefined ? null : sumSquares(gradients, value, kernels);
    // A sum of squares that is not finite may also have overflowed.
    if (this.policy !== 'ignore' && (squares === null || !Number.isFinite(squares))) {
      const bad = findNonFinite(gradients, kernels);
      if (bad !== undefined && this.policy === 'skip') return null;
      if (bad !== undefined) throw nonFiniteGradient(bad.name);
    }
    if (squares === null) return FINE;
    const norm = Number.isFinite(squares) ? Math.sqrt(squares) : largeNorm(gradients, value);
    return { factor: Math.min(1, globalNorm! / (norm + 1e-6)), isHuge: norm > HUGE_NORM, gate: null };
  }

  /** Frees what was found, after the update, and looks, without waiting, what became of the updates so far. */
  done({ factor, gate }: Checked): void {
    if (typeof factor !== 'number') factor.dispose();
    if (gate === null) return;
    gate.proceed.dispose();
    if (this.reading === null && this.onDevice !== null) this.reading = this.read(this.onDevice);
  }

  /** Throws what has gone wrong since it was last asked, and lets updates happen again. */
  raise(): void {
    if (this.failure === null) return;
    const { failure } = this;
    this.failure = null;
    if (failure instanceof NonFiniteGradientError) this.onDevice?.resume();
    throw failure;
  }

  /** Resolves when what became of all updates so far is known. */
  async known(): Promise<void> {
    // A halt ends the reading of updates that came after it, of which nothing happened.
    while (this.reading !== null || (this.pending.length > 0 && this.onDevice !== null)) {
      this.reading ??= this.read(this.onDevice!);
      await this.reading;
    }
  }

  dispose(): void {
    this.onDevice?.dispose();
    this.onDevice = null;
    this.pending = [];
  }

  private checkOnDevice(
    gradients: readonly NamedGradient[],
    { value, globalNorm }: Clip,
    kernels: KernelSet | null,
  ): Checked {
    const numbered = gradients.map(({ name, gradient }) => ({ id: this.idOf(name), gradient }));
    const { factor, proceed } = this.checkFor(kernels).check(numbered, {
      ...(value === undefined ? {} : { clipValue: value }),
      ...(globalNorm === undefined ? {} : { globalNorm }),
      onNonFinite: this.policy === 'throw' ? 'halt' : this.policy,
    });
    const found = { factor: factor ?? 1, isHuge: factor !== null };
    if (proceed === null) return { ...found, gate: null };
    const ifSkipped: (() => void)[] = [];
    this.pending.push(ifSkipped);
    return { ...found, gate: { proceed, ifSkipped: (takeBack: () => void) => ifSkipped.push(takeBack) } };
  }

  /** One read at a time, so that a loop that never waits keeps only one report under way. */
  private async read(check: FiniteCheck): Promise<void> {
    try {
      while (this.onDevice === check && this.pending.length > 0) {
        const asked = this.pending.length;
        const { halted, latest } = await check.report();
        if (this.onDevice !== check) break;
        const known = this.pending.splice(0, asked);
        latest.forEach((isSkipped, i) => {
          if (isSkipped) for (const takeBack of known[i] ?? []) takeBack();
        });
        if (halted !== null && this.failure === null) this.failure = nonFiniteGradient([...this.ids.keys()][halted]!);
        // Nothing happens on the device until the failure has been raised.
        if (halted !== null) break;
      }
    } catch (error) {
      if (this.onDevice === check) this.failure = error;
      this.pending = [];
    } finally {
      this.reading = null;
    }
  }

  private checkFor(kernels: KernelSet | null): FiniteCheck {
    const backend = getBackend();
    if (this.onDevice === null || this.backend !== backend) {
      // What the check before had found is not asked for any more.
      this.dispose();
      this.onDevice = kernels?.finiteCheck?.() ?? new TensorCheck();
      this.backend = backend;
    }
    return this.onDevice;
  }

  private idOf(name: string): number {
    const id = this.ids.get(name) ?? this.ids.size;
    this.ids.set(name, id);
    return id;
  }
}

function nonFiniteGradient(name: string): NonFiniteGradientError {
  return new NonFiniteGradientError({
    parameter: `gradient of "${name}"`,
    found: 'NaN or Inf',
    expected: 'finite numbers',
    advice:
      'Lower the learning rate, clip, look for a log or division by 0 in the loss, or compose with onNonFinite: "skip".',
  });
}

function sumSquares(
  gradients: readonly NamedGradient[],
  clipValue: number | undefined,
  kernels: KernelSet | null,
): number {
  const tensors = gradients.map(({ gradient }) => gradient);
  if (kernels?.sumSquares !== undefined) return kernels.sumSquares(tensors, clipValue);
  // Limits hide what is not finite.
  const plain = (): Tensor => sumSquaresOf(tensors, clipValue, 1);
  return readScalar(clipValue === undefined ? plain : () => add(plain(), zerosOf(tensors)));
}

/** The norm when the sum of the squares has overflowed, or entries that are not finite are ignored. */
function largeNorm(gradients: readonly NamedGradient[], clipValue: number | undefined): number {
  const tensors = gradients.map(({ gradient }) => gradient);
  const squares = readScalar(() => sumSquaresOf(tensors, clipValue, 1));
  if (Number.isFinite(squares)) return Math.sqrt(squares);
  return Math.sqrt(readScalar(() => sumSquaresOf(tensors, clipValue, SMALL))) / SMALL;
}

/** Sum of the squares of all entries, limited to ±`clipValue` and then multiplied. */
function sumSquaresOf(tensors: readonly Tensor[], clipValue: number | undefined, times: number): Tensor {
  return tensors.map(tensor => sum(square(clipped(tensor, clipValue, times)))).reduce((a, b) => add(a, b));
}

function findNonFinite(gradients: readonly NamedGradient[], kernels: KernelSet | null): NamedGradient | undefined {
  if (kernels?.isFinite !== undefined) {
    const isBad = ({ gradient }: NamedGradient): boolean => !kernels.isFinite!(gradient);
    // From the last to the first: the update begins with the first, which then still lies in a cache.
    return [...gradients].reverse().some(isBad) ? gradients.find(isBad) : undefined;
  }
  // One read for all.
  if (readScalar(() => zerosOf(gradients.map(({ gradient }) => gradient))) === 0) return undefined;
  return gradients.find(({ gradient }) => readScalar(() => zerosOf([gradient])) !== 0);
}

/** The sum of x · 0 over all entries: 0 where they are finite, NaN where one is NaN or ±Inf. */
function zerosOf(tensors: readonly Tensor[]): Tensor {
  return tensors.map(tensor => sum(mul(tensor, 0))).reduce((a, b) => add(a, b));
}

function readScalar(compute: () => Tensor): number {
  const scalar = tidy(compute);
  try {
    return scalar.dataSync()[0]!;
  } finally {
    scalar.dispose();
  }
}

/** No gradient has this number. */
const NONE = 2 ** 24;

/** Checks gradients by tfjs operations alone, on every backend and without reading anything back. */
class TensorCheck implements FiniteCheck {
  private skipped: Tensor = keep(scalar(0));
  /** The number of the gradient that halted, from 1; 0 while there is none. */
  private halted: Tensor = keep(scalar(0));
  private disposed = false;
  /** Results that were not reported, one tensor per update. */
  private unreported: Tensor[] = [];

  check(gradients: readonly NumberedGradient[], limits: CheckLimits): CheckResult {
    const { clipValue, globalNorm, onNonFinite } = limits;
    let factor: Tensor | null = null;
    let proceed: Tensor | null = null;
    tidy(() => {
      if (globalNorm !== undefined) factor = keep(factorOf(gradients, clipValue, globalNorm));
      if (onNonFinite === 'ignore') return;
      const bad = firstBad(gradients);
      const isGood = equal(bad, NONE);
      const isNew = logicalAnd(equal(this.halted, 0), greater(NONE, bad));
      const halted = onNonFinite === 'halt' ? where(isNew, add(bad, 1), this.halted) : this.halted.clone();
      const goes = onNonFinite === 'halt' ? equal(halted, 0) : isGood;
      proceed = keep(where(goes, onesLike(bad), scalar(0)));
      this.unreported.push(keep(proceed.clone()));
      this.replace(add(this.skipped, sub(1, proceed)), halted);
    });
    return { factor, proceed };
  }

  async report(): Promise<CheckReport> {
    // A copy: the next update replaces the tensors.
    const latest = this.unreported;
    this.unreported = [];
    const numbers = [this.skipped, this.halted, ...latest];
    const read = tidy(() => keep(stack(numbers)));
    dispose(latest);
    try {
      const [skipped, halted, ...proceeds] = await read.data();
      return {
        skipped: skipped!,
        halted: halted === 0 ? null : halted! - 1,
        latest: proceeds.map(each => each === 0),
      };
    } finally {
      read.dispose();
    }
  }

  resume(): void {
    tidy(() => this.replace(this.skipped.clone(), scalar(0)));
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.skipped.dispose();
    this.halted.dispose();
    dispose(this.unreported);
  }

  private replace(skipped: Tensor, halted: Tensor): void {
    this.skipped.dispose();
    this.halted.dispose();
    this.skipped = keep(skipped);
    this.halted = keep(halted);
  }
}

function factorOf(gradients: readonly NumberedGradient[], clipValue: number | undefined, globalNorm: number): Tensor {
  const tensors = gradients.map(({ gradient }) => gradient);
  const whole = sumSquaresOf(tensors, clipValue, 1);
  const isLarge = greater(whole, LARGEST);
  const squares = where(isLarge, sumSquaresOf(tensors, clipValue, SMALL), whole);
  const norm = add(sqrt(squares), where(isLarge, scalar(1e-6 * SMALL), scalar(1e-6)));
  const factor = div(where(isLarge, scalar(globalNorm * SMALL), scalar(globalNorm)), norm);
  // A norm that is NaN stays so.
  return where(greater(factor, 1), onesLike(factor), factor);
}

/** The smallest number of a gradient with NaN or Inf; {@link NONE} when there is none. */
function firstBad(gradients: readonly NumberedGradient[]): Tensor {
  return gradients
    .map(({ id, gradient }) => where(isNaNTensor(zerosOf([gradient])), scalar(id), scalar(NONE)))
    .reduce((a, b) => minimum(a, b));
}
