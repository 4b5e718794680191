import type { OwnText } from '../protocol.js';
import { announce, element } from './element.js';
import { formatBytes, formatCount } from './format.js';

/** Larger texts would take their memory three times over while they are read. */
const LARGEST = 64e6;

/** Chooses the text to train on: the built-in tales, or a file, picked or dropped anywhere on the page. */
export class TextPicker {
  readonly node: HTMLElement;
  /** Null: the built-in tales. */
  text: OwnText | null = null;
  readonly #input: HTMLInputElement;
  readonly #status: HTMLElement;
  readonly #error: HTMLElement;
  readonly #reset: HTMLButtonElement;
  readonly #onChange: () => void;
  #size = 0;
  #refusal: string | null = null;
  #enabled = true;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#input = element('input', { type: 'file', id: 'text-file', accept: '.txt,.md,.jsonl,.ndjson,text/*' });
    this.#status = element('p', { className: 'hint', id: 'text-status' });
    this.#error = element('p', { className: 'error', id: 'text-error', hidden: true });
    this.#input.setAttribute('aria-describedby', 'text-status text-error');
    this.#reset = element('button', { type: 'button', className: 'link', hidden: true }, 'Use the built-in tales');
    this.#reset.addEventListener('click', () => {
      this.#take(null, 0);
      this.#input.focus();
    });
    this.#input.addEventListener('change', () => {
      const file = this.#input.files?.[0];
      if (file !== undefined) void this.#read(file);
    });
    this.node = element(
      'div',
      { className: 'field wide drop' },
      element('label', { htmlFor: 'text-file' }, 'Text: choose a file, or drop one on the page'),
      this.#input,
      this.#status,
      this.#error,
      this.#reset,
    );
    this.#listenForDrops();
    this.tokens = null;
  }

  /** Tokens of the text that are trained on; null if not known. */
  set tokens(tokens: number | null) {
    const name =
      this.text === null ? 'Built-in tales, made by a small grammar' : `${this.text.name}, ${formatBytes(this.#size)}`;
    this.#status.textContent = tokens === null ? `${name}.` : `${name}: ${formatCount(tokens)} tokens to train on.`;
  }

  /** What is wrong with the text; a file that was refused stays the first thing said until there is another. */
  set error(message: string | null) {
    const shown = this.#refusal ?? message;
    this.#error.hidden = shown === null;
    this.#error.textContent = shown ?? '';
    this.#input.setAttribute('aria-invalid', String(message !== null));
  }

  /** While a comparison runs its text stays. */
  set enabled(enabled: boolean) {
    this.#enabled = enabled;
  }

  get control(): HTMLElement {
    return this.#input;
  }

  #listenForDrops(): void {
    const carriesFile = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes('Files') ?? false;
    const mark = (on: boolean): void => {
      document.body.classList.toggle('dropping', on && this.#enabled);
    };
    addEventListener('dragover', event => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      mark(true);
    });
    addEventListener('dragleave', event => {
      if (event.relatedTarget === null) mark(false);
    });
    addEventListener('drop', event => {
      if (!carriesFile(event)) return;
      // Otherwise the browser would leave the page and open the file.
      event.preventDefault();
      mark(false);
      const file = event.dataTransfer?.files[0];
      if (file !== undefined && this.#enabled) void this.#read(file);
    });
  }

  async #read(file: File): Promise<void> {
    if (file.size > LARGEST) {
      this.#refuse(`${file.name} has ${formatBytes(file.size)}; at most ${formatBytes(LARGEST)} can be used here.`);
      return;
    }
    try {
      const content = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
      if (content.includes('\0')) throw new TypeError('null characters');
      this.#take({ name: file.name, content }, file.size);
    } catch {
      this.#refuse(`${file.name} is not a text in UTF-8.`);
    }
  }

  /** Keeps the text that there is. The control forgets the file, so that it can be chosen again once it is mended. */
  #refuse(why: string): void {
    const kept = this.text === null ? 'the built-in tales' : this.text.name;
    this.#refusal = `${why} The text is still ${kept}.`;
    this.#input.value = '';
    this.error = null;
    announce(this.#refusal);
  }

  #take(text: OwnText | null, size: number): void {
    this.text = text;
    this.#size = size;
    this.#reset.hidden = text === null;
    if (text === null) this.#input.value = '';
    this.#refusal = null;
    this.error = null;
    this.tokens = null;
    this.#onChange();
  }
}
