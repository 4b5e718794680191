// What the page and its workers say to each other. Everything here survives structured cloning.

/** Where the arithmetic is done; `auto` takes WebGPU on a real adapter, else WebAssembly. */
export type BackendChoice = 'auto' | 'webgpu' | 'wasm';

/** A text of the user's own. */
export interface OwnText {
  readonly name: string;
  readonly content: string;
}

/** What all compared optimizers share. */
export interface RunSettings {
  /** Name of a preset of `@frugaljs/llama`. */
  readonly model: string;
  readonly steps: number;
  /** Rows of a batch. */
  readonly batchSize: number;
  /** Tokens of a row. */
  readonly sequenceLength: number;
  /** Of the weights, the batches and the random subspaces. */
  readonly seed: number;
  /** What the sampled texts start with. */
  readonly prompt: string;
  /** Bytes of a sampled text, without its start. */
  readonly sampleLength: number;
  readonly backend: BackendChoice;
}

/** An optimizer as chosen in the form. */
export interface RecipeSettings {
  readonly kind: 'recipe';
  readonly recipe: string;
  readonly learningRate: number;
  readonly density: number;
  readonly projector: string;
  readonly updateGap: number;
}

/** An optimizer as written by hand: the JSON of a composition. */
export interface WrittenSettings {
  readonly kind: 'json';
  readonly title: string;
  readonly json: string;
}

export type OptimizerSettings = RecipeSettings | WrittenSettings;

export interface Setup {
  readonly run: RunSettings;
  readonly optimizers: readonly OptimizerSettings[];
}

/** Bytes, from the optimizer's `memoryReport()`. */
export interface Memory {
  readonly parameters: number;
  readonly gradients: number;
  readonly state: number;
}

/** A mistake in the setup, for the field where it was made. */
export interface Problem {
  /** Place of the optimizer; null for a setting that all share. */
  readonly optimizer: number | null;
  /** Name of the setting. */
  readonly field: string;
  readonly message: string;
}

/** What an optimizer of a setup amounts to. */
export interface OptimizerOutline {
  readonly label: string;
  readonly memory: Memory;
  /** The composition as JSON, to be edited. */
  readonly json: string;
}

export interface Outline {
  /** One per optimizer; null for one with a problem. */
  readonly optimizers: readonly (OptimizerOutline | null)[];
  readonly problems: readonly Problem[];
  readonly parameterCount: number;
  /** Tokens to train on; null if the text is too short. */
  readonly trainingTokens: number | null;
}

/** What this browser can do. */
export interface Capabilities {
  readonly webgpu: {
    readonly available: boolean;
    /** Runs on the processor: correct, but slower than WebAssembly. */
    readonly software: boolean;
    /** The adapter, or why there is none. */
    readonly description: string;
  };
  readonly wasm: boolean;
}

/** A backend of tfjs that the page can start. */
export type BackendName = 'webgpu' | 'wasm';

/** One update of one model. */
export interface StepResult {
  /** Loss of the batch before the update, in nats per token; null if the gradients are no longer finite. */
  readonly loss: number | null;
  readonly milliseconds: number;
  /** Null most of the time: it changes with the subspaces only, and takes a while to report. */
  readonly memory: Memory | null;
}

export type FileKind = 'checkpoint' | 'weights';

/** What a worker can be asked: argument and answer. Each worker trains one model at most. */
export interface Requests {
  readonly capabilities: { readonly argument: null; readonly answer: Capabilities };
  /** The text that later requests work with; null: the built-in tales. */
  readonly text: { readonly argument: OwnText | null; readonly answer: null };
  readonly outline: { readonly argument: Setup; readonly answer: Outline };
  readonly start: {
    readonly argument: {
      readonly run: RunSettings;
      readonly optimizer: OptimizerSettings;
      readonly backend: BackendName;
    };
    readonly answer: null;
  };
  /** Trains on the `index`-th batch. */
  readonly step: { readonly argument: { readonly index: number }; readonly answer: StepResult };
  /** The text so far comes as progress. */
  readonly sample: {
    readonly argument: { readonly prompt: string; readonly length: number; readonly seed: number };
    readonly answer: string;
  };
  readonly file: {
    readonly argument: { readonly kind: FileKind };
    /** With the number of updates that are in it. */
    readonly answer: { readonly step: number; readonly blob: Blob };
  };
}

export type RequestName = keyof Requests;

export interface ToWorker<Name extends RequestName = RequestName> {
  readonly id: number;
  readonly name: Name;
  readonly argument: Requests[Name]['argument'];
}

export type FromWorker =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly progress: string }
  | { readonly id: number; readonly error: string }
  /** The worker can do nothing more, whether it was asked something or not. */
  | { readonly lost: string };
