import { element } from './element.js';

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

let made = 0;

/** A labeled control with room for a hint and an error message below. */
export class Field<C extends Control = Control> {
  readonly control: C;
  readonly node: HTMLElement;
  readonly #error: HTMLElement;
  readonly #hintId: string | null;

  constructor(label: string, control: C, options: { readonly hint?: string; readonly className?: string } = {}) {
    const { hint, className = '' } = options;
    this.control = control;
    control.id ||= `field-${made++}`;
    this.#hintId = hint === undefined ? null : `${control.id}-hint`;
    this.#error = element('p', { className: 'error', id: `${control.id}-error`, hidden: true });
    this.node = element(
      'div',
      { className: `field ${className}` },
      element('label', { htmlFor: control.id, textContent: label }),
      control,
      hint === undefined ? null : element('p', { className: 'hint', id: this.#hintId!, textContent: hint }),
      this.#error,
    );
    this.error = null;
  }

  /** The mistake in this field; null for none. */
  set error(message: string | null) {
    this.#error.hidden = message === null;
    this.#error.textContent = message ?? '';
    this.control.setAttribute('aria-invalid', String(message !== null));
    const describedBy = [this.#hintId, message === null ? null : this.#error.id].filter(id => id !== null).join(' ');
    if (describedBy === '') this.control.removeAttribute('aria-describedby');
    else this.control.setAttribute('aria-describedby', describedBy);
  }
}

/** A control for a number. What is no number reads as NaN. */
export function numberInput(value: number, min: number, max: number | null, step: number | 'any'): HTMLInputElement {
  const input = element('input', { type: 'number', value: String(value), min: String(min), step: String(step) });
  if (max !== null) input.max = String(max);
  return input;
}

/** A control for one of several values. */
export function selectInput(
  options: readonly (readonly [value: string, title: string])[],
  value: string,
): HTMLSelectElement {
  const select = element('select', {}, ...options.map(([name, title]) => new Option(title, name)));
  select.value = value;
  return select;
}
