import { byId } from './element.js';

/** Tells users of screen readers what has changed. Meant for a few sentences per run. */
export function announce(sentence: string): void {
  byId('announcements').textContent = sentence;
}
