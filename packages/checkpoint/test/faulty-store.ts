import { CheckpointStorageError, type CheckpointStore } from '../src/index.js';

/** Which call of a store fails, counted from 0 over the store, its drafts, files, sources and sinks. */
export interface StoreFault {
  readonly at: number;
  /** Whether the call is made all the same, and only its answer is lost. */
  readonly isMade: boolean;
  /** Filled in. */
  calls: number;
}

/** A store one call of which fails, as a database or a disk does. */
export function faultyStore(store: CheckpointStore, fault: StoreFault): CheckpointStore {
  return counting(store, fault);
}

/** Counts the calls of an object, and of the objects that they resolve with. */
function counting<T extends object>(target: T, fault: StoreFault): T {
  return new Proxy(target, {
    get: (_, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'crc32') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const isDue = fault.calls++ === fault.at;
        const call = async (): Promise<unknown> => value.apply(target, args);
        if (isDue) {
          if (fault.isMade) await call();
          const complaint = { parameter: String(key), found: 'an injected fault', expected: 'an answer' };
          throw new CheckpointStorageError('device', complaint);
        }
        const result = await call();
        const hasCalls = typeof result === 'object' && result !== null && !Array.isArray(result);
        return hasCalls && !ArrayBuffer.isView(result) ? counting(result, fault) : result;
      };
    },
  });
}
