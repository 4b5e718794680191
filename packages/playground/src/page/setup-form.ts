import { defaultSettings } from '../catalog.js';
import type { BackendChoice, Outline, OwnText, Problem, Setup } from '../protocol.js';
import { RUN_LIMITS, type WholeSetting } from '../setup.js';
import { byId, element, Field, numberInput, selectInput } from './element.js';
import { formatCount } from './format.js';
import { OptimizerCard } from './optimizer-card.js';
import { TextPicker } from './text-picker.js';

/** As many as have a color of their own, and as a phone can show. */
const MOST = 4;
const FEWEST = 2;

const MODELS = [
  ['nano', 'Nano: 1 layer of width 32'],
  ['micro', 'Micro: 2 layers of width 64'],
  ['tiny', 'Tiny: 2 layers of width 128'],
  ['small', 'Small: 4 layers of width 256'],
] as const;

const BACKENDS = [
  ['auto', 'Automatic'],
  ['webgpu', 'WebGPU'],
  ['wasm', 'WebAssembly'],
] as const;

const ADDITIONS = ['galore', 'badam', 'lion', 'signSgd'];

export interface SetupFormEvents {
  /** The setup has changed. */
  readonly onChange: () => void;
  /** The text has changed. */
  readonly onText: () => void;
  readonly onPrompt: (prompt: string) => void;
}

function wholeField(setting: WholeSetting, value: number): Field<HTMLInputElement> {
  const { title, least, most } = RUN_LIMITS[setting];
  return new Field(title, numberInput(value, least, most, 1));
}

/** Everything that can be chosen before a comparison starts. */
export class SetupForm {
  readonly #cards: OptimizerCard[] = [];
  readonly #list: HTMLElement = element('div', { className: 'optimizers' });
  readonly #add: HTMLButtonElement;
  readonly #text: TextPicker;
  readonly #model = new Field<HTMLSelectElement>('Model', selectInput(MODELS, 'micro'), { className: 'wide' });
  readonly #modelNote: HTMLElement = element('p', { className: 'hint' });
  readonly #backend: HTMLSelectElement = selectInput(BACKENDS, 'auto');
  readonly #backendNote: HTMLElement = element('p', { className: 'hint', id: 'backend-note' });
  readonly #prompt = new Field<HTMLInputElement>(
    'Starts with',
    element('input', { type: 'text', value: 'The ', maxLength: 60, autocomplete: 'off' }),
  );
  readonly #numbers = {
    steps: wholeField('steps', 400),
    batchSize: wholeField('batchSize', 8),
    sequenceLength: wholeField('sequenceLength', 64),
    seed: wholeField('seed', 1),
    sampleLength: wholeField('sampleLength', 140),
  };
  readonly #lockable: HTMLFieldSetElement;
  readonly #events: SetupFormEvents;

  constructor(events: SetupFormEvents) {
    this.#events = events;
    this.#text = new TextPicker(events.onText);
    this.#add = element('button', { type: 'button', className: 'secondary' }, 'Add an optimizer');
    this.#add.addEventListener('click', () => {
      this.#addCard(ADDITIONS[this.#cards.length - FEWEST] ?? 'lion')
        .node.querySelector('select')
        ?.focus();
      events.onChange();
    });
    this.#modelNote.id = 'model-note';
    this.#model.node.append(this.#modelNote);
    this.#model.control.setAttribute('aria-describedby', 'model-note');
    const backend = new Field('Backend', this.#backend, { className: 'wide' });
    backend.node.append(this.#backendNote);
    this.#backend.setAttribute('aria-describedby', 'backend-note');
    for (const { control } of [this.#model, backend, ...Object.values(this.#numbers)]) {
      control.addEventListener('input', events.onChange);
    }
    this.#prompt.control.addEventListener('input', () => events.onPrompt(this.#prompt.control.value));
    const { steps, batchSize, sequenceLength, seed, sampleLength } = this.#numbers;
    this.#lockable = element(
      'fieldset',
      { className: 'lockable' },
      element('legend', { className: 'visually-hidden', textContent: 'Optimizers, model and text' }),
      this.#list,
      this.#add,
      element(
        'fieldset',
        { className: 'card shared' },
        element('legend', { textContent: 'The same for all' }),
        element(
          'div',
          { className: 'grid' },
          this.#model.node,
          ...[steps, batchSize, sequenceLength, seed].map(({ node }) => node),
          this.#text.node,
          backend.node,
        ),
      ),
    );
    const form = byId('setup') as HTMLFormElement;
    form.append(
      this.#lockable,
      element(
        'fieldset',
        { className: 'card' },
        element('legend', { textContent: 'Sampled texts' }),
        element('div', { className: 'grid' }, this.#prompt.node, sampleLength.node),
      ),
    );
    form.addEventListener('submit', event => event.preventDefault());
    this.#addCard('adamW');
    this.#addCard('frugal');
  }

  get setup(): Setup {
    const { steps, batchSize, sequenceLength, seed, sampleLength } = this.#numbers;
    const number = ({ control }: Field): number => (control.value.trim() === '' ? Number.NaN : Number(control.value));
    return {
      run: {
        model: this.#model.control.value,
        steps: number(steps),
        batchSize: number(batchSize),
        sequenceLength: number(sequenceLength),
        seed: number(seed),
        prompt: this.#prompt.control.value,
        sampleLength: number(sampleLength),
        backend: this.#backend.value as BackendChoice,
      },
      optimizers: this.#cards.map(({ settings }) => settings),
    };
  }

  get text(): OwnText | null {
    return this.#text.text;
  }

  /** Shows what the setup amounts to, and the mistakes in it. */
  show({ optimizers, problems, parameterCount, trainingTokens }: Outline): void {
    for (const [i, card] of this.#cards.entries()) {
      const outline = optimizers[i];
      if (outline) card.written = outline.json;
      card.problems = problems.filter(({ optimizer }) => optimizer === i);
    }
    const shared = (field: string): Problem | undefined =>
      problems.find(problem => problem.optimizer === null && problem.field === field);
    for (const [name, field] of Object.entries(this.#numbers)) field.error = shared(name)?.message ?? null;
    this.#text.tokens = trainingTokens;
    this.#text.error = shared('text')?.message ?? null;
    this.#modelNote.textContent = `${formatCount(parameterCount)} parameters; reads and writes bytes.`;
  }

  set backendNote(note: string) {
    this.#backendNote.textContent = note;
  }

  /** Moves the focus to the first field with a mistake. */
  focusProblem(): void {
    const field = byId('setup').querySelector<HTMLElement>('[aria-invalid="true"]');
    field?.closest('details')?.setAttribute('open', '');
    field?.focus();
  }

  /** While a comparison is under way the setup stays as it is. */
  set locked(locked: boolean) {
    this.#lockable.disabled = locked;
    this.#text.enabled = !locked;
    // The start of the texts may change at any time.
    this.#numbers.sampleLength.control.disabled = locked;
  }

  #addCard(recipe: string): OptimizerCard {
    const card = new OptimizerCard(defaultSettings(recipe), {
      onChange: this.#events.onChange,
      onRemove: removed => {
        this.#cards.splice(this.#cards.indexOf(removed), 1);
        removed.node.remove();
        this.#place();
        this.#add.focus();
        this.#events.onChange();
      },
    });
    this.#cards.push(card);
    this.#list.append(card.node);
    this.#place();
    return card;
  }

  #place(): void {
    for (const [i, card] of this.#cards.entries()) card.place(i, this.#cards.length <= FEWEST);
    this.#add.hidden = this.#cards.length >= MOST;
  }
}
