import type { Rival } from '../session/rival.js';
import { element, marker } from './element.js';
import { formatCount, formatLoss } from './format.js';

/** The present figures of every optimizer; also the legend of the chart. */
export class Tiles {
  readonly node: HTMLElement = element('ul', { className: 'tiles', id: 'tiles' });
  #tiles: { loss: HTMLElement; speed: HTMLElement }[] = [];

  /** Empty tiles with these names. */
  prepare(labels: readonly string[]): void {
    this.#tiles = labels.map(() => ({
      loss: element('strong', { className: 'loss', textContent: '–' }),
      speed: element('span', { className: 'speed', textContent: 'not started' }),
    }));
    const items = this.#tiles.map(({ loss, speed }, i) =>
      element(
        'li',
        { className: `tile series-${i}` },
        element('span', { className: 'who' }, marker(i), labels[i]!),
        element(
          'span',
          { className: 'figure' },
          loss,
          element('span', { className: 'unit', textContent: ' nats per byte' }),
        ),
        speed,
      ),
    );
    this.node.replaceChildren(...items);
  }

  update(rivals: readonly Rival[], tokensPerStep: number): void {
    for (const [i, { averages, milliseconds, divergedAt }] of rivals.entries()) {
      const tile = this.#tiles[i];
      if (tile === undefined) continue;
      const loss = averages.at(-1);
      if (loss !== undefined) tile.loss.textContent = formatLoss(loss);
      if (divergedAt !== null) tile.speed.textContent = `diverged at step ${divergedAt}`;
      else if (milliseconds !== null) {
        tile.speed.textContent = `${formatCount((1000 * tokensPerStep) / milliseconds)} tokens/s`;
      }
    }
  }
}
