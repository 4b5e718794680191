import type { ProgressOutput } from './progress.js';

/** The part of `process.stdout` that is needed. */
export interface FallibleOutput extends ProgressOutput {
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * A stream whose failure ends nothing: after it, nothing is written any more. A reader that has seen enough
 * (`frugal train 2>&1 | head`), a terminal that was closed or a full disk would otherwise end a run that has hours behind
 * it.
 */
export class LastingStream implements ProgressOutput {
  readonly #stream: FallibleOutput;
  #failure: NodeJS.ErrnoException | null = null;

  constructor(stream: FallibleOutput) {
    this.#stream = stream;
    stream.on('error', error => this.#fail(error));
  }

  get isTTY(): boolean {
    return this.#stream.isTTY === true;
  }

  /** 0 where the terminal does not know. */
  get columns(): number {
    return this.#stream.columns ?? 0;
  }

  /** What went wrong, if something was not written; null too for a pipe that its reader closed, which is no mistake. */
  get failure(): Error | null {
    return this.#failure?.code === 'EPIPE' ? null : this.#failure;
  }

  write(text: string): void {
    if (this.#failure !== null) return;
    try {
      this.#stream.write(text);
    } catch (error) {
      // Files are written at once, and their errors are thrown.
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }
}
