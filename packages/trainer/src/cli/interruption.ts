import { EXIT } from './failure.js';

/** One press of Ctrl-C can arrive twice: from the terminal, and passed on by npm. */
const SAME_PRESS = 300;

/**
 * Turns the first Ctrl-C into an abort signal, so that work can end cleanly, and the second one into an immediate exit.
 * Call `release` when the work is over.
 */
export function watchInterrupts(announce: (line: string) => void): {
  readonly signal: AbortSignal;
  readonly release: () => void;
} {
  const controller = new AbortController();
  let pressedAt = Number.NEGATIVE_INFINITY;
  const onInterrupt = (): void => {
    const now = performance.now();
    if (now - pressedAt < SAME_PRESS) return;
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    pressedAt = now;
    announce('Stopping after this step. Press Ctrl-C again to leave at once.');
    controller.abort();
  };
  process.on('SIGINT', onInterrupt);
  return { signal: controller.signal, release: () => void process.off('SIGINT', onInterrupt) };
}
