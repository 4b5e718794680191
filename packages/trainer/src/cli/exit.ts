import { FrugalError } from '@frugaljs/core';
import { LlamaError } from '@frugaljs/llama/errors';
import { CommanderError } from 'commander';

/** Exit codes of the command. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, hungUp: 129, terminated: 143 } as const;

/** What the command can do about an error that a program would have to deal with otherwise. */
const HINTS: Readonly<Record<string, string>> = {
  'non-finite-gradient': 'Here: a smaller --lr, --clip, --non-finite skip, or --rollback with --save.\n',
};

/**
 * Says what went wrong and returns the exit code: 2 for a command line that cannot be read, 1 for everything else.
 *
 * @param debug Whether to print the stack.
 */
export function reportFailure(error: unknown, debug: boolean, write: (text: string) => unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message by now; asking for help is no failure.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const expected = error instanceof FrugalError || error instanceof LlamaError;
  if (debug) write(`${stack}\n`);
  else if (expected) write(`frugal: ${message}\n${HINTS[(error as { code?: string }).code ?? ''] ?? ''}`);
  else write(`frugal: unexpected error: ${message}\n(--debug shows where it comes from)\n`);
  return EXIT.failure;
}

/** One press of Ctrl-C can arrive twice: from the terminal, and passed on by npm. */
const SAME_PRESS = 300;

/** By signal. SIGHUP comes when the terminal is closed or the connection to it ends. */
const EXIT_CODES = { SIGINT: EXIT.interrupted, SIGHUP: EXIT.hungUp, SIGTERM: EXIT.terminated } as const;

/** What ends a run from outside. */
export interface Interruption {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** The exit code of a run that the signal ended: 130 for Ctrl-C, 129 for SIGHUP, 143 for SIGTERM. */
  exitCode(): number;
  /** To be called when the work is over. After a signal the process is about to end: Ctrl-C still leaves at once. */
  release(): void;
}

/**
 * Turns the first Ctrl-C, SIGHUP or SIGTERM into an abort signal, so that work can end cleanly, and the second one into
 * an immediate exit.
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
      // A terminal that is gone cannot be left in order: Node aborts. The signal itself ends the process.
      const isKept = (name: string): boolean => controller.signal.aborted && name !== 'SIGHUP';
      for (const [name, handler] of handlers) if (!isKept(name)) process.off(name, handler);
    },
  };
}
