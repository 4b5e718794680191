import { InvalidOptionError } from '../errors.js';
import type { Schedule } from './schedule.js';

export interface JoinedPart {
  readonly schedule: Schedule;
  /** Updates this part lasts; `Infinity` for the last one. */
  readonly steps: number;
}

/** Schedules one after the other, each counting from 0 where it begins. The last one goes on forever. */
export function joined(parts: readonly JoinedPart[]): Schedule {
  if (parts.length === 0) {
    throw new InvalidOptionError({ parameter: 'joined.parts', found: '[]', expected: 'at least one schedule' });
  }
  parts.slice(0, -1).forEach(({ steps }, i) => {
    if (!Number.isSafeInteger(steps) || steps < 1) {
      throw new InvalidOptionError({
        parameter: `joined.parts[${i}].steps`,
        found: steps,
        expected: 'an integer of at least 1',
      });
    }
  });
  const at = (k: number): number => {
    let start = 0;
    for (const { schedule, steps } of parts.slice(0, -1)) {
      if (k < start + steps) return schedule.at(k - start);
      start += steps;
    }
    return parts[parts.length - 1]!.schedule.at(k - start);
  };
  const described = parts.map(({ schedule, steps }, i) => ({
    schedule: { kind: schedule.kind, options: schedule.options },
    ...(i < parts.length - 1 ? { steps } : {}),
  }));
  return { kind: 'joined', options: { parts: described }, at };
}
