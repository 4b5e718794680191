import { EXIT } from './failure.js';

/** One press of Ctrl-C can arrive twice: from the terminal, and passed on by npm. */
const SAME_PRESS = 300;

const EXIT_CODES = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const;

/** What ends a run from outside. */
export interface Interruption {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** The exit code of a run that the signal ended: 130 for Ctrl-C, 143 for SIGTERM. */
  exitCode(): number;
  /** To be called when the work is over. */
  release(): void;
}

/**
 * Turns the first Ctrl-C, or SIGTERM, into an abort signal, so that work can end cleanly, and the second one into an
 * immediate exit.
 *
 * @param ending What the first one does, for the announcement.
 */
export function watchInterrupts(announce: (line: string) => void, ending = 'Stopping after this step'): Interruption {
  const controller = new AbortController();
  let pressedAt = Number.NEGATIVE_INFINITY;
  let code: number = EXIT.interrupted;
  const handlers = Object.entries(EXIT_CODES).map(([name, exitCode]) => {
    const handler = (): void => {
      const now = performance.now();
      if (now - pressedAt < SAME_PRESS) return;
      if (controller.signal.aborted) process.exit(exitCode);
      pressedAt = now;
      code = exitCode;
      announce(`${ending}. Press Ctrl-C again to leave at once.`);
      controller.abort();
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  return {
    signal: controller.signal,
    exitCode: () => code,
    release: () => {
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}
