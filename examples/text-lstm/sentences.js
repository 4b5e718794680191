// Short opinions from a little grammar. Whether one is good or bad hangs on the order of its words: 'dull but clever' is
// praise, 'clever but dull' is not. So it takes a layer that reads from left to right.
import { randomNumbers } from '../random.js';

/** Words of a sentence; shorter ones are filled up in front. */
export const LENGTH = 12;

const THINGS = ['film', 'book', 'meal', 'play', 'song', 'tour'];
const GOOD = ['lovely', 'bright', 'warm', 'clever', 'moving', 'fresh'];
const BAD = ['dull', 'slow', 'cold', 'clumsy', 'empty', 'stale'];
const FILLERS = ['really', 'quite', 'rather', 'so', 'truly', 'very'];
const REST = ['the', 'was', 'is', 'not', 'but', 'and', 'i', 'found', 'it', 'my', 'friend', 'says'];
const WORDS = ['', ...THINGS, ...GOOD, ...BAD, ...FILLERS, ...REST];

/** How many words there are, with the empty one. */
export const VOCABULARY = WORDS.length;

/**
 * @param {{ count: number, seed: number }} options
 * @returns {{ words: Int32Array, labels: Float32Array, text: string[] }} indices of words, LENGTH for each sentence, and 1
 *   where the opinion is good
 */
export function writeSentences({ count, seed }) {
  const random = randomNumbers(seed);
  /** @param {readonly string[]} words */
  const pick = words => words[Math.floor(random() * words.length)] ?? '';
  const words = new Int32Array(count * LENGTH);
  const labels = new Float32Array(count);
  const text = Array.from({ length: count }, (_, index) => {
    const good = random() < 0.5;
    labels[index] = Number(good);
    // The last opinion counts, and `not` turns the one behind it around.
    const twist = random() < 0.5;
    const [said, before] = good === twist ? [BAD, GOOD] : [GOOD, BAD];
    const last = `${twist ? 'not ' : ''}${random() < 0.5 ? `${pick(FILLERS)} ` : ''}${pick(said)}`;
    const first = random() < 0.5 ? `${pick(random() < 0.5 ? before : said)} but ` : '';
    const start = random() < 0.5 ? `the ${pick(THINGS)} was` : `my friend says the ${pick(THINGS)} is`;
    const sentence = `${start} ${first}${last}`.split(' ');
    const gap = LENGTH - sentence.length;
    for (const [position, word] of sentence.entries()) words[index * LENGTH + gap + position] = WORDS.indexOf(word);
    return sentence.join(' ');
  });
  return { words, labels, text };
}
