type Child = Node | string | null;

type Properties<Name extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Name], 'style' | 'dataset' | 'children'>
> & {
  /** Attributes that have no property, such as `aria-describedby`. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
};

/** Makes an element with properties, attributes and children. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Properties<Name> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const { attributes = {}, data = {}, ...rest } = properties;
  const made = document.createElement(name);
  Object.assign(made, rest);
  for (const [key, value] of Object.entries<string>(attributes)) made.setAttribute(key, value);
  Object.assign(made.dataset, data);
  made.append(...children.filter(child => child !== null));
  return made;
}

/** An element of the page's HTML. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page lacks #${id}.`);
  return found;
}

const SVG = 'http://www.w3.org/2000/svg';

/** Shapes that tell optimizers apart besides their colors. */
const MARKERS: readonly string[] = [
  'M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z',
  'M-4.4 -4.4H4.4V4.4H-4.4Z',
  'M0 -5.4L5 3.8H-5Z',
  'M0 -5.8L5.8 0L0 5.8L-5.8 0Z',
];

/** The mark of the optimizer at this place. */
export function marker(place: number): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '-7 -7 14 14');
  svg.setAttribute('class', 'marker');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', markerPath(place));
  svg.append(path);
  return svg;
}

/** The same as a path around the origin. */
export function markerPath(place: number): string {
  return MARKERS[place % MARKERS.length]!;
}

/** Tells users of screen readers what has changed. Meant for a few sentences per run. */
export function announce(sentence: string): void {
  byId('announcements').textContent = sentence;
}

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
