import { closeSync, openSync, writeSync } from 'node:fs';

/** A file with one JSON object a line, written as things happen: what is in it survives a crash. */
export class EventLog {
  readonly #file: number | null;

  /** @param path Where to write; the file is begun anew. Null: nowhere. */
  constructor(path: string | null) {
    this.#file = path === null ? null : openSync(path, 'w');
  }

  write(event: string, fields: object): void {
    if (this.#file !== null) writeSync(this.#file, `${JSON.stringify({ event, ...fields })}\n`);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }
}
