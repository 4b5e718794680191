import type { SessionState } from '../session/session.js';
import { element } from './element.js';
import { formatCount } from './format.js';

export interface ControlBarEvents {
  /** Start, pause or resume, as the state has it. */
  readonly onMain: () => void;
  readonly onReset: () => void;
}

/** What the bar shows. */
export interface BarState {
  /** Null before the first comparison. */
  readonly state: SessionState | null;
  readonly step: number;
  readonly steps: number;
  readonly backend: string;
}

const MAIN: Readonly<Record<SessionState, string>> = {
  starting: 'Starting…',
  running: 'Pause',
  paused: 'Resume',
  finished: 'Start again',
  failed: 'Start again',
};

/** Start, pause, resume and reset, and how far the comparison is. */
export class ControlBar {
  readonly node: HTMLElement;
  readonly #main: HTMLButtonElement = element('button', { type: 'button', className: 'primary', id: 'main-button' });
  readonly #reset: HTMLButtonElement = element('button', {
    type: 'button',
    className: 'secondary',
    id: 'reset-button',
  });
  readonly #progress: HTMLProgressElement = element('progress', { id: 'progress', max: 1, value: 0 });
  readonly #status: HTMLElement = element('span', { className: 'status', id: 'status' });
  readonly #backend: HTMLElement = element('span', { className: 'chip', id: 'backend' });

  constructor(events: ControlBarEvents) {
    this.#reset.textContent = 'Reset';
    this.#main.addEventListener('click', events.onMain);
    this.#reset.addEventListener('click', () => {
      events.onReset();
      // The button that was pressed is disabled now, and would drop the focus.
      this.#main.focus();
    });
    this.#progress.setAttribute('aria-label', 'Steps done');
    this.node = element(
      'div',
      { className: 'bar-inner' },
      element('div', { className: 'buttons' }, this.#main, this.#reset),
      this.#status,
      this.#backend,
      this.#progress,
    );
  }

  show({ state, step, steps, backend }: BarState): void {
    this.#main.textContent = state === null ? 'Start' : MAIN[state];
    this.#main.setAttribute('aria-disabled', String(state === 'starting'));
    this.#reset.disabled = state === null;
    const total = Number.isFinite(steps) ? steps : 0;
    this.#progress.max = Math.max(1, total);
    this.#progress.value = step;
    this.#progress.textContent = `${step} of ${total}`;
    const done = `Step ${formatCount(step)} of ${formatCount(total)}`;
    const words: Readonly<Record<SessionState, string>> = {
      starting: 'Loading…',
      running: done,
      paused: `Paused, ${done.toLowerCase()}`,
      finished: `Done: ${formatCount(step)} steps`,
      failed: 'Stopped by an error',
    };
    this.#status.textContent = state === null ? 'Ready' : words[state];
    this.#backend.hidden = backend === '';
    this.#backend.textContent = backend;
  }
}
