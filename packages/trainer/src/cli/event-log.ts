import { closeSync, openSync, writeSync } from 'node:fs';

/** A file with one JSON object a line, written as things happen: what is in it survives a crash. */
export class EventLog {
  readonly #file: number | null;

  /**
   * @param path Where to write. Null: nowhere.
   * @param goesOn Whether to write after what is in the file; else it is begun anew.
   */
  constructor(path: string | null, goesOn = false) {
    this.#file = path === null ? null : openSync(path, goesOn ? 'a' : 'w');
  }

  write(event: string, fields: object): void {
    if (this.#file !== null) writeSync(this.#file, `${JSON.stringify({ event, ...fields })}\n`);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }
}
