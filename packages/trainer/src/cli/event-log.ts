import { closeSync, openSync, writeSync } from 'node:fs';

/** A file with one JSON object a line, written as things happen: what is in it survives a crash. */
export class EventLog {
  readonly #path: string | null;
  readonly #goesOn: boolean;
  #file: number | null = null;

  /**
   * @param path Where to write. Null: nowhere. Nothing is opened before the first event, so that a run that does not
   *   come to one leaves the file as it was.
   * @param goesOn Whether to write after what is in the file; else it is begun anew.
   */
  constructor(path: string | null, goesOn = false) {
    this.#path = path;
    this.#goesOn = goesOn;
  }

  write(event: string, fields: object): void {
    if (this.#path === null) return;
    this.#file ??= openSync(this.#path, this.#goesOn ? 'a' : 'w');
    writeSync(this.#file, `${JSON.stringify({ event, ...fields })}\n`);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}
