import type { ProgressOutput } from './progress.js';

/** Where a command writes: results to one stream, progress and complaints to the other. `process` is one. */
export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressOutput;
}
