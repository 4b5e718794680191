import { type FiniteCheck, type KernelSet, NonFiniteGradientError } from '@frugaljs/core';
import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import type { PendingVerdict } from '../runtime/gate.js';
import { readsBackAtOnce } from '../runtime/readback.js';
import { nonFiniteGradient } from './gradient-health.js';
import type { Clip, NonFinitePolicy } from './options.js';
import { TensorJudge } from './tensor-judge.js';

const ON_NON_FINITE = { ignore: 'ignore', skip: 'skip', throw: 'halt' } as const;

/** True when gradients are to be judged on the device, because the host cannot read the verdict at once. */
export function judgesOnDevice(kernels: KernelSet | null): boolean {
  return kernels === null || kernels.isFinite === undefined ? !readsBackAtOnce() : false;
}

/**
 * The health of gradients where nothing can be read back at once. The device itself scales the gradients and leaves out
 * updates; what it did is read in the background, one read at a time, so that a loop that never waits keeps only one
 * verdict under way.
 */
export class DeviceHealth {
  private judge: FiniteCheck | null = null;
  /** Judges work on the backend they were made on. */
  private judgeBackend = '';
  private readonly ids = new Map<string, number>();
  private judged = 0;
  /** Ordinals of judged rounds of an accumulation, as long as the host does not know of them. */
  private readonly rounds = new Set<number>();
  private reported = 0;
  private reading: Promise<void> | null = null;
  private failure: unknown = null;

  /**
   * @param onWithheld Called with the ordinal of every judged update (or round of an accumulation) that was left out, when
   *   that becomes known.
   */
  constructor(
    private readonly policy: NonFinitePolicy,
    private readonly onWithheld: (ordinal: number, isRound: boolean) => void,
  ) {}

  /** The ordinal of what was judged last. */
  get latest(): number {
    return this.judged;
  }

  /** Begins to judge the gradients of an update, or of a round of an accumulation. The caller disposes the factor and what tells whether to proceed. */
  examine(
    gradients: readonly { readonly name: string; readonly gradient: Tensor }[],
    { value, globalNorm }: Clip,
    kernels: KernelSet | null,
    isRound = false,
  ): { readonly factor: Tensor | null; readonly verdict: PendingVerdict | null } {
    if (gradients.length === 0) return { factor: null, verdict: null };
    const numbered = gradients.map(({ name, gradient }) => ({ id: this.idOf(name), gradient }));
    const { factor, proceed } = this.judgeFor(kernels).check(numbered, {
      ...(value === undefined ? {} : { clipValue: value }),
      ...(globalNorm === undefined ? {} : { globalNorm }),
      onNonFinite: ON_NON_FINITE[this.policy],
    });
    if (proceed === null) return { factor, verdict: null };
    this.judged += 1;
    if (isRound) this.rounds.add(this.judged);
    return { factor, verdict: { proceed, ordinal: this.judged, known: this.reported } };
  }

  /** Looks, without waiting, what became of the updates so far. */
  poll(): void {
    if (this.reading !== null || this.judged === this.reported || this.judge === null) return;
    this.reading = this.read(this.judge);
  }

  /** Throws what has gone wrong since it was last asked, and lets updates happen again. */
  raise(): void {
    if (this.failure === null) return;
    const { failure } = this;
    this.failure = null;
    if (failure instanceof NonFiniteGradientError) this.judge?.resume();
    throw failure;
  }

  /** Resolves when what became of all updates so far is known. */
  async known(): Promise<void> {
    this.poll();
    while (this.reading !== null) await this.reading;
  }

  dispose(): void {
    this.judge?.dispose();
    this.judge = null;
  }

  private async read(judge: FiniteCheck): Promise<void> {
    try {
      while (this.judge === judge && this.judged > this.reported) {
        const { judged } = this;
        const { halted, latest } = await judge.report();
        if (this.judge !== judge) break;
        const first = this.reported + 1;
        this.reported = judged;
        latest.forEach((isWithheld, i) => {
          const isRound = this.rounds.delete(first + i);
          if (isWithheld) this.onWithheld(first + i, isRound);
        });
        if (halted !== null && this.failure === null) this.failure = nonFiniteGradient(this.nameOf(halted));
        // Nothing happens on the device until the failure has been raised.
        if (halted !== null) break;
      }
    } catch (error) {
      if (this.judge === judge) this.failure = error;
      this.reported = this.judged;
    } finally {
      this.reading = null;
    }
  }

  private judgeFor(kernels: KernelSet | null): FiniteCheck {
    const backend = getBackend();
    if (this.judge === null || this.judgeBackend !== backend) {
      this.judge?.dispose();
      this.judge = kernels?.finiteCheck?.() ?? new TensorJudge();
      this.judgeBackend = backend;
      // What the judge before had found is not asked for any more.
      this.reported = this.judged;
      this.rounds.clear();
    }
    return this.judge;
  }

  private idOf(name: string): number {
    const id = this.ids.get(name) ?? this.ids.size;
    this.ids.set(name, id);
    return id;
  }

  private nameOf(id: number): string {
    return [...this.ids.keys()][id]!;
  }
}
