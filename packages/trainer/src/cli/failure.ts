import { FrugalError } from '@frugaljs/core';
import { LlamaError } from '@frugaljs/llama/errors';
import { CommanderError } from 'commander';

/** Exit codes of the command. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

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
