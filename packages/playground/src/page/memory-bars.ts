import type { Memory } from '../protocol.js';
import { element, marker } from './element.js';
import { formatBytes } from './format.js';

/** What an optimizer keeps, with its name. */
export interface NamedMemory {
  readonly label: string;
  /** Null while it is not known. */
  readonly memory: Memory | null;
}

const PARTS = [
  ['parameters', 'Parameters'],
  ['gradients', 'Gradients'],
  ['state', 'Optimizer state'],
] as const;

const NOTE =
  'FRUGAL, GaLore and BAdam save on the hidden matrices. Embedding and output layer keep their full state; the larger ' +
  'the model, the less they weigh.';

/** A bar per optimizer, of parameters, gradients and optimizer state, all on one scale; and the bytes as a table. */
export class MemoryBars {
  readonly node: HTMLElement;
  readonly #headline: HTMLElement = element('p', { className: 'hint', id: 'memory-headline' });
  readonly #body: HTMLElement = element('tbody');
  #shown = '';

  constructor() {
    const head = element(
      'tr',
      {},
      element('th', { scope: 'col', textContent: 'Optimizer' }),
      ...PARTS.map(([part, title]) =>
        element('th', { scope: 'col' }, element('span', { className: `key ${part}` }), title),
      ),
      element('th', { scope: 'col', textContent: 'Together' }),
    );
    this.node = element(
      'div',
      { className: 'memory-holder' },
      this.#headline,
      element('table', { className: 'memory', id: 'memory' }, element('thead', {}, head), this.#body),
      element('p', { className: 'hint memory-note', textContent: NOTE }),
    );
  }

  show(rows: readonly NamedMemory[]): void {
    const now = JSON.stringify(rows);
    if (now === this.#shown) return;
    this.#shown = now;
    const longest = Math.max(1, ...rows.map(({ memory }) => (memory === null ? 0 : total(memory))));
    this.#headline.textContent = headline(rows);
    this.#body.replaceChildren(...rows.flatMap(({ label, memory }, i) => rowOf(label, memory, i, longest)));
  }
}

function rowOf(label: string, memory: Memory | null, place: number, longest: number): HTMLElement[] {
  const figures = element(
    'tr',
    { className: `figures series-${place}` },
    element('th', { scope: 'row' }, element('span', { className: 'who' }, marker(place), label)),
    ...PARTS.map(([part, title]) =>
      element('td', {
        data: memory === null ? { part, title } : { part, bytes: String(memory[part]), title },
        textContent: memory === null ? '–' : formatBytes(memory[part]),
      }),
    ),
    element('td', { data: { title: 'Together' }, textContent: memory === null ? '–' : formatBytes(total(memory)) }),
  );
  const segments = PARTS.map(([part]) => {
    const segment = element('span', { className: `segment ${part}`, data: { part } });
    segment.style.width = `${(100 * (memory?.[part] ?? 0)) / longest}%`;
    return segment;
  });
  const cell = element('td', { colSpan: PARTS.length + 2 }, element('div', { className: 'stack' }, ...segments));
  // The figures say the same in words.
  cell.setAttribute('aria-hidden', 'true');
  return [figures, element('tr', { className: `stack-row series-${place}` }, cell)];
}

function total({ parameters, gradients, state }: Memory): number {
  return parameters + gradients + state;
}

function headline(rows: readonly NamedMemory[]): string {
  const known = rows.flatMap(({ label, memory }) => (memory === null ? [] : [{ label, memory }]));
  const byState = known.sort((a, b) => a.memory.state - b.memory.state);
  const [least, most] = [byState[0], byState.at(-1)];
  if (least === undefined || most === undefined || least.memory.state === most.memory.state) {
    return 'What stays in memory while a model trains.';
  }
  return `${most.label} keeps ${formatBytes(most.memory.state)} of state; ${least.label} ${comparison(least.memory.state / most.memory.state)}.`;
}

function comparison(share: number): string {
  if (share === 0) return 'needs none of it';
  const percent = Math.round(100 * share);
  return `makes do with ${percent === 0 ? 'less than 1' : percent}\u00a0% of that`;
}
