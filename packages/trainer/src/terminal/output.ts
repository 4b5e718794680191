import { visible } from './text.js';

/** Where a command writes: results to one stream, progress and complaints to the other. `process` is one. */
export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressOutput;
}

/** Where progress is shown; `process.stderr` is one. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  /** Missing or 0: not known. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** The part of `process.stdout` that is needed. */
export interface FallibleOutput extends ProgressOutput {
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * A stream whose failure ends nothing: after it, nothing is written any more. A reader that has seen enough
 * (`frugal train 2>&1 | head`), a terminal that was closed or a full disk would otherwise end a run that has hours behind
 * it.
 */
export class LastingStream implements ProgressOutput {
  readonly #stream: FallibleOutput;
  #failure: NodeJS.ErrnoException | null = null;

  constructor(stream: FallibleOutput) {
    this.#stream = stream;
    stream.on('error', error => this.#fail(error));
  }

  get isTTY(): boolean {
    return this.#stream.isTTY === true;
  }

  /** 0 where the terminal does not know. */
  get columns(): number {
    return this.#stream.columns ?? 0;
  }

  /** What went wrong, if something was not written; null too for a pipe that its reader closed, which is no mistake. */
  get failure(): Error | null {
    return this.#failure?.code === 'EPIPE' ? null : this.#failure;
  }

  write(text: string): void {
    if (this.#failure !== null) return;
    try {
      this.#stream.write(text);
    } catch (error) {
      // Files are written at once, and their errors are thrown.
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }
}

/**
 * A stream that a command prints to. All that it prints goes through here, and none of it, whoever made it, is obeyed by
 * the terminal but the two sequences that draw a line anew.
 */
export class VisibleOutput implements ProgressOutput {
  readonly #stream: ProgressOutput;

  private constructor(stream: ProgressOutput) {
    this.#stream = stream;
  }

  static to(stream: ProgressOutput): VisibleOutput {
    return stream instanceof VisibleOutput ? stream : new VisibleOutput(stream);
  }

  get isTTY(): boolean {
    return this.#stream.isTTY === true;
  }

  get columns(): number {
    return this.#stream.columns ?? 0;
  }

  write(text: string): void {
    this.#stream.write(visible(text));
  }

  /** Puts a line in the place of the one that the cursor is on. */
  redraw(line: string): void {
    this.#stream.write(`\r${visible(line)}\u001b[K`);
  }
}

export interface ProgressState {
  /** What is going on, such as `[2/5] FRUGAL ρ=0.25`. */
  readonly title: string;
  /** Keeps what follows the title in its place when titles of other lengths come. */
  readonly titleWidth?: number;
  readonly done: number;
  readonly total: number;
  /** What else to say, most important first; on a narrow terminal the last ones are left out. */
  readonly details: readonly string[];
}

const REDRAW_EVERY = 80;
const LINE_EVERY = 15_000;
const BAR = 24;
const NARROWEST_BAR = 8;

/**
 * Shows how far something is: on a terminal as one line that is drawn over, elsewhere (a file, a pipe, a build log) as
 * a plain line now and then.
 */
export class Progress {
  readonly #output: VisibleOutput;
  readonly #live: boolean;
  readonly #now: () => number;
  #shownAt = Number.NEGATIVE_INFINITY;
  #shownTitle = '';
  #drawn = false;

  /** @param now Milliseconds; only differences count. */
  constructor(output: ProgressOutput, now: () => number = () => performance.now()) {
    this.#output = VisibleOutput.to(output);
    this.#live = output.isTTY === true;
    this.#now = now;
  }

  /** Shows a state, unless the last one was shown a moment ago. */
  update(state: ProgressState): void {
    const now = this.#now();
    const isNew = state.title !== this.#shownTitle;
    if (!isNew && now - this.#shownAt < (this.#live ? REDRAW_EVERY : LINE_EVERY)) return;
    this.#shownAt = now;
    this.#shownTitle = state.title;
    if (this.#live) {
      this.#output.redraw(liveLine(state, (this.#output.columns || 80) - 1));
      this.#drawn = true;
    } else {
      this.#output.write(`${plainLine(state)}\n`);
    }
  }

  /** Writes a line that stays. */
  print(line: string): void {
    this.clear();
    this.#output.write(`${line}\n`);
  }

  /** Takes the live line away. */
  clear(): void {
    if (this.#drawn) this.#output.redraw('');
    this.#drawn = false;
  }
}

function plainLine({ title, done, total, details }: ProgressState): string {
  return [`${title}: ${done}/${total}`, ...details].join(', ');
}

/** The line, with the bar as wide as there is room for and as many details as fit. */
function liveLine({ title: given, titleWidth = 0, done, total, details }: ProgressState, columns: number): string {
  const name = visible(given).replaceAll(/\s/g, ' ');
  const title = name + ' '.repeat(Math.max(0, titleWidth - [...name].length));
  const count = `${String(done).padStart(String(total).length)}/${total}`;
  const shown = [...details];
  const text = (): string => [count, ...shown].join('  ');
  const room = (): number => columns - [...title].length - [...text()].length - 4;
  while (shown.length > 0 && room() < 0) shown.pop();
  const bar = Math.min(BAR, room());
  const line = bar < NARROWEST_BAR ? `${title}  ${text()}` : `${title}  ${progressBar(done / total, bar)}  ${text()}`;
  return [...line].slice(0, columns).join('');
}

function progressBar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, share) * width);
  return '━'.repeat(filled) + '─'.repeat(width - filled);
}
