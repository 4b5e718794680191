import type { FileKind } from '../protocol.js';
import { element, marker } from './element.js';
import { formatCount } from './format.js';

/** Texts that stay in view, the latest on top. */
const KEPT = 12;

interface Writing {
  readonly list: HTMLElement;
  readonly buttons: readonly HTMLButtonElement[];
}

/** What each model writes as it learns, and the files to take away. */
export class Writings {
  readonly node: HTMLElement = element('div', { className: 'writings', id: 'writings' });
  readonly #onFile: (index: number, kind: FileKind) => void;
  #writings: Writing[] = [];

  constructor(onFile: (index: number, kind: FileKind) => void) {
    this.#onFile = onFile;
  }

  /** Empty cards with these names. */
  prepare(labels: readonly string[]): void {
    this.#writings = labels.map((label, i) => {
      const list = element('ol', { className: 'samples', tabIndex: 0, reversed: true });
      list.setAttribute('aria-label', `Texts by ${label}, the latest first`);
      list.append(element('li', { className: 'empty', textContent: 'Its first words come with the first step.' }));
      const button = (kind: FileKind, text: string): HTMLButtonElement => {
        const made = element('button', { type: 'button', className: 'secondary', disabled: true, textContent: text });
        made.setAttribute('aria-label', `${text}, ${label}`);
        made.dataset['file'] = kind;
        made.addEventListener('click', () => this.#onFile(i, kind));
        return made;
      };
      return { list, buttons: [button('checkpoint', 'Checkpoint'), button('weights', 'Weights')] };
    });
    const cards = this.#writings.map(({ list, buttons }, i) =>
      element(
        'article',
        { className: `writing series-${i}` },
        element('h3', { className: 'who' }, marker(i), labels[i]!),
        list,
        element(
          'div',
          { className: 'files' },
          element('span', { className: 'hint', textContent: 'Download' }),
          ...buttons,
        ),
      ),
    );
    this.node.replaceChildren(...cards);
  }

  /** Files can be had once there is a model. */
  set downloadable(downloadable: boolean) {
    for (const { buttons } of this.#writings) for (const button of buttons) button.disabled = !downloadable;
  }

  /** Shows a text of a step, complete or so far. */
  show(index: number, step: number, text: string, complete: boolean): void {
    const list = this.#writings[index]?.list;
    if (list === undefined) return;
    list.querySelector('.empty')?.remove();
    let item = list.querySelector<HTMLElement>(`[data-step="${step}"]`);
    if (item === null) {
      const when = step === 0 ? 'untrained' : `step ${formatCount(step)}`;
      item = element(
        'li',
        { data: { step: String(step) } },
        element('span', { className: 'when', textContent: when }),
        element('span', { className: 'text' }),
      );
      list.prepend(item);
      while (list.children.length > KEPT) list.lastElementChild!.remove();
    }
    item.classList.toggle('writing-now', !complete);
    item.querySelector('.text')!.textContent = text;
  }
}
