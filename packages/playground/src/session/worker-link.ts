import type { FromWorker, RequestName, Requests, ToWorker } from '../protocol.js';

interface Pending {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
  readonly progress: ((text: string) => void) | undefined;
}

/** A worker to which requests are made like calls. */
export class WorkerLink {
  readonly #worker = new Worker(new URL('../worker/main.ts', import.meta.url), { type: 'module' });
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #failure: Error | null = null;
  #tellLost: (error: Error) => void = () => {};
  /** Resolves when the worker can do nothing more, with the reason. Whatever it is asked then is rejected with it. */
  readonly lost: Promise<Error> = new Promise(resolve => {
    this.#tellLost = resolve;
  });

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => this.#receive(data));
    this.#worker.addEventListener('error', ({ message }) => {
      this.#lose(new Error(message || 'The worker could not be loaded.'));
    });
  }

  /** Makes a request; rejects with the worker's message. */
  ask<Name extends RequestName>(
    name: Name,
    argument: Requests[Name]['argument'],
    progress?: (text: string) => void,
  ): Promise<Requests[Name]['answer']> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (answer: never) => void, reject, progress });
      this.#worker.postMessage({ id, name, argument } satisfies ToWorker<Name>);
    });
  }

  /** Ends the worker and frees all that it holds; what it was asked is never answered. */
  terminate(): void {
    this.#worker.terminate();
    this.#pending.clear();
  }

  #receive(message: FromWorker): void {
    if ('lost' in message) {
      this.#lose(new Error(message.lost));
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    if ('progress' in message) {
      pending.progress?.(message.progress);
      return;
    }
    this.#pending.delete(message.id);
    if ('error' in message) pending.reject(new Error(message.error));
    else pending.resolve(message.answer as never);
  }

  #lose(error: Error): void {
    this.#failure = error;
    this.#tellLost(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
