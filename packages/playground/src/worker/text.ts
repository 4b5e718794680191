import { InvalidOptionError, type RandomKey, randomInteger, randomKey } from '@frugaljs/core';
import { byteTokenizer, documentFormat, LlamaError, parseDocuments, splitTail, TokenDataset } from '@frugaljs/llama';
import type { OwnText, RunSettings } from '../protocol.js';

/** Characters of built-in text. */
const BUILT_IN = 200_000;
const VALIDATION_SHARE = 0.1;

/** The tokens of the pages' texts are bytes: any text will do, and no vocabulary has to be loaded. */
export const TOKENIZER: ReturnType<typeof byteTokenizer> = byteTokenizer();

/**
 * Batches of a text, or of the built-in one.
 *
 * @throws InvalidOptionError for a text that is none or too short, naming the parameter `text`.
 */
export function openDataset(text: OwnText | null, run: RunSettings): TokenDataset {
  const { batchSize, sequenceLength, seed } = run;
  try {
    const documents =
      text === null ? tales(BUILT_IN) : parseDocuments(text.content, documentFormat(text.name), text.name);
    const parts = splitTail(documents, VALIDATION_SHARE, text?.name ?? 'tales');
    const corpus = { name: text?.name ?? 'tales', origin: text === null ? 'built in' : 'a file', ...parts };
    return TokenDataset.fromCorpus(corpus, TOKENIZER, { batchSize, sequenceLength, seed });
  } catch (error) {
    if (!(error instanceof LlamaError)) throw error;
    throw new InvalidOptionError({
      parameter: 'text',
      found: text?.name ?? 'the built-in text',
      expected: 'text enough for training and validation',
      advice: error.message,
    });
  }
}

/** Tales that together hold at least so many characters. */
export function tales(characters: number): string[] {
  const told: string[] = [];
  for (let length = 0; length < characters; length += told.at(-1)!.length) told.push(tale(told.length));
  return told;
}

/** The `index`-th tale: a pure function, so that the same text is there on every machine. */
export function tale(index: number): string {
  const draws = new Draws(randomKey(7, `tale ${index}`));
  const first = draws.pick(ANIMALS);
  const second = draws.pick(ANIMALS.filter(animal => animal !== first));
  const [kind, place, thing] = [draws.pick(KINDS), draws.pick(PLACES), draws.pick(THINGS)];
  const scene = `The ${kind} ${first} lived ${place}. ${draws.pick(WEATHER)}, and the ${first} ${draws.pick(WORK)}.`;
  const turn = `${draws.pick(TIMES)} the ${first} ${draws.pick(FINDS)} a ${thing}.`;
  const talk = draws.pick([
    `"Is this your ${thing}?" asked the ${first}. "Yes, it is mine," said the ${second}.`,
    `"I want that ${thing}," said the ${second}. "Then help me," said the ${first}.`,
    `"Who lost a ${thing}?" called the ${first}. "Not I," said the ${second}.`,
    `"What a fine ${thing}!" said the ${second}. The ${first} said nothing.`,
  ]);
  const feeling = draws.pick(FEELINGS);
  const end = draws.pick([
    `So the ${first} gave the ${thing} to the ${second}, and both were ${feeling}.`,
    `They took the ${thing} home, and the ${second} ${draws.pick(WORK)}.`,
    `The ${second} was ${feeling}, and the ${first} ${draws.pick(WORK)} until night.`,
    `In the end they hid the ${thing} ${draws.pick(PLACES)}, and nobody was ${feeling}.`,
  ]);
  return `${scene}\n${turn} ${talk}\n${end} ${draws.pick(LESSONS)}\n`;
}

/** Draws the choices of one tale, one after the other. */
class Draws {
  readonly #key: RandomKey;
  #index = 0;

  constructor(key: RandomKey) {
    this.#key = key;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[randomInteger(this.#key, this.#index++, choices.length)]!;
  }
}

// A grammar of little tales. A tale names its animals, place and thing once and keeps to them, so that a model has
// something to learn at every scale: letters, words, sentences, and who owned the button.

const ANIMALS = ['fox', 'crow', 'hare', 'mole', 'otter', 'badger', 'owl', 'toad', 'wren', 'bear', 'mouse', 'goose'];
const KINDS = ['little', 'old', 'proud', 'sleepy', 'clever', 'shy', 'kind', 'hungry'];
const PLACES = [
  'by the river',
  'under the bridge',
  'on the hill',
  'behind the mill',
  'in the old orchard',
  'near the harbor',
];
const TIMES = [
  'One morning',
  'One evening',
  'In the spring',
  'In the long winter',
  'After the rain',
  'At harvest time',
];
const THINGS = ['button', 'lantern', 'kettle', 'bell', 'silver key', 'red hat', 'wooden boat', 'blue feather'];
const FINDS = ['found', 'saw', 'dug up', 'heard of', 'dreamed of'];
const FEELINGS = ['glad', 'sad', 'angry', 'brave', 'tired', 'quiet'];
const WORK = [
  'swept the floor',
  'baked a loaf of bread',
  'counted the stars',
  'mended the fence',
  'sang a slow song',
  'carried the water',
];
const WEATHER = [
  'The wind was cold',
  'The sun was warm',
  'The snow lay deep',
  'The moon was bright',
  'The leaves were falling',
];
const LESSONS = [
  'What is shared is never lost.',
  'A friend is a light that needs no oil.',
  'Slow feet find the way home.',
  'Ask before you take.',
  'Small hands can carry a big day.',
];
