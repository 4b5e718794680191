/**
 * Lets timers, signals and repaints run. The wasm and cpu backends compute synchronously, and promises alone never give
 * the event loop a turn.
 */
export function pause(): Promise<void> {
  return new Promise(resolve => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
