import { CheckpointStorageError } from '../errors.js';

/** Waits for a request of IndexedDB. */
export function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Waits until a transaction is through; rejects when it is undone. */
export function completion(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Runs operations of a database; their failures become typed errors. */
export async function inDatabase<T>(location: string, operate: () => Promise<T>): Promise<T> {
  try {
    return await operate();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const isFull = error.name === 'QuotaExceededError';
    throw new CheckpointStorageError(
      isFull ? 'full' : 'device',
      {
        parameter: location,
        found: isFull ? 'an exhausted quota' : `${error.name}: ${error.message}`,
        expected: 'room for a checkpoint',
        advice: isFull
          ? 'Keep fewer checkpoints, or download and remove some.'
          : 'Reload the page; private windows may store nothing.',
      },
      error,
    );
  }
}
