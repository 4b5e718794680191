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
