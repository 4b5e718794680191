import {
  CATALOG,
  catalogEntry,
  defaultSettings,
  FIELD_LABELS,
  FORM_FIELDS,
  type FormField,
  fieldsOf,
  PROJECTORS,
  specOf,
} from '../catalog.js';
import type { OptimizerSettings, Problem, RecipeSettings } from '../protocol.js';
import { element, Field, marker, numberInput, selectInput } from './element.js';

export interface OptimizerCardEvents {
  readonly onChange: () => void;
  readonly onRemove: (card: OptimizerCard) => void;
}

/** The settings of one optimizer: a recipe and its options, or a composition as JSON. */
export class OptimizerCard {
  readonly node: HTMLElement;
  readonly #recipe: Field<HTMLSelectElement>;
  readonly #summary: HTMLElement = element('p', { className: 'hint summary' });
  readonly #fields: Readonly<Record<'learningRate' | FormField, Field>>;
  readonly #json: Field<HTMLTextAreaElement>;
  readonly #form: HTMLElement;
  readonly #toggle: HTMLButtonElement;
  readonly #remove: HTMLButtonElement;
  readonly #legend: HTMLElement = element('legend');
  readonly #head: HTMLElement;
  /** The composition of the form's settings, as the worker wrote it down. */
  #written = '';
  #editing = false;
  #index = 0;

  constructor(settings: RecipeSettings, events: OptimizerCardEvents) {
    const titles = CATALOG.map(({ recipe, title }) => [recipe, title] as const);
    this.#recipe = new Field('Method', selectInput(titles, settings.recipe), { className: 'wide' });
    this.#fields = {
      learningRate: new Field(FIELD_LABELS.learningRate, numberInput(settings.learningRate, 0, null, 'any')),
      density: new Field(FIELD_LABELS.density, numberInput(settings.density, ...limitsOf('density'), 0.05)),
      projector: new Field(FIELD_LABELS.projector, selectInput(PROJECTORS, settings.projector)),
      updateGap: new Field(FIELD_LABELS.updateGap, numberInput(settings.updateGap, ...limitsOf('updateGap'), 1)),
    };
    const area = element('textarea', { rows: 12, spellcheck: false, autocomplete: 'off' });
    this.#json = new Field('Composition as JSON', area, {
      className: 'wide',
      hint: 'A learning rate given as a number is the peak of the warm-up and cosine that all optimizers follow.',
    });
    this.#json.node.hidden = true;
    this.#form = element('div', { className: 'grid' }, ...Object.values(this.#fields).map(({ node }) => node));
    this.#toggle = element('button', { type: 'button', className: 'link', textContent: 'Edit as JSON' });
    this.#toggle.setAttribute('aria-expanded', 'false');
    this.#toggle.addEventListener('click', () => {
      this.#edit(!this.#editing);
      events.onChange();
    });
    this.#remove = element('button', { type: 'button', className: 'link' }, 'Remove');
    this.#remove.addEventListener('click', () => events.onRemove(this));
    this.#recipe.control.addEventListener('change', () => {
      this.#fields.learningRate.control.value = String(defaultSettings(this.#recipe.control.value).learningRate);
      this.#edit(false);
      this.#showFields();
      events.onChange();
    });
    for (const { control } of [...Object.values(this.#fields), this.#json]) {
      control.addEventListener('input', events.onChange);
    }
    this.#head = element('span', { className: 'swatch' });
    this.node = element(
      'fieldset',
      { className: 'card optimizer' },
      this.#legend,
      this.#recipe.node,
      this.#summary,
      this.#form,
      this.#json.node,
      element('div', { className: 'links' }, this.#toggle, this.#remove),
    );
    this.#showFields();
  }

  get settings(): OptimizerSettings {
    const { learningRate, density, projector, updateGap } = this.#fields;
    const recipe = this.#recipe.control.value;
    if (this.#editing) {
      return { kind: 'json', title: `${catalogEntry(recipe).title}, edited`, json: this.#json.control.value };
    }
    const number = ({ control }: Field): number => (control.value.trim() === '' ? Number.NaN : Number(control.value));
    return {
      kind: 'recipe',
      recipe,
      learningRate: number(learningRate),
      density: number(density),
      projector: projector.control.value,
      updateGap: number(updateGap),
    };
  }

  /** Numbers and colors the card; `alone` if it may not be removed. */
  place(index: number, alone: boolean): void {
    this.node.className = `card optimizer series-${index}`;
    this.#head.replaceChildren(marker(index));
    this.#legend.replaceChildren(this.#head, `Optimizer ${index + 1}`);
    this.#remove.hidden = alone;
    this.#remove.setAttribute('aria-label', `Remove optimizer ${index + 1}`);
    this.#index = index;
    this.#nameToggle();
  }

  /** The composition that the editor opens with. */
  set written(json: string) {
    this.#written = json;
  }

  /** Shows the mistakes in this card, and only these. */
  set problems(problems: readonly Problem[]) {
    const fields: Record<string, Field> = { recipe: this.#recipe, json: this.#json, ...this.#fields };
    for (const [name, field] of Object.entries(fields)) {
      field.error = problems.find(problem => problem.field === name)?.message ?? null;
    }
  }

  #edit(editing: boolean): void {
    this.#editing = editing;
    this.#toggle.textContent = editing ? 'Back to the form' : 'Edit as JSON';
    this.#nameToggle();
    this.#toggle.setAttribute('aria-expanded', String(editing));
    if (editing) this.#json.control.value = this.#written;
    this.#json.node.hidden = !editing;
    this.#form.hidden = editing;
  }

  /** Begins with what stands on it, so that it can be said to a screen reader or a voice control. */
  #nameToggle(): void {
    this.#toggle.setAttribute('aria-label', `${this.#toggle.textContent}, optimizer ${this.#index + 1}`);
  }

  #showFields(): void {
    const recipe = this.#recipe.control.value;
    const fields = fieldsOf(recipe);
    this.#summary.textContent = catalogEntry(recipe).summary;
    for (const name of FORM_FIELDS) {
      this.#fields[name].node.hidden = !fields.includes(name);
    }
  }
}

/** The smallest and the largest number that a field takes. */
function limitsOf(field: FormField): [min: number, max: number | null] {
  const spec = specOf(field);
  if (spec.type === 'integer') return [spec.minimum, null];
  if (spec.type !== 'number') throw new RangeError(`${field} is no number`);
  const [min, max] = spec.interval.slice(1, -1).split(', ').map(Number) as [number, number];
  return [min, Number.isFinite(max) ? max : null];
}
