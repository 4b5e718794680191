import { InvalidOptionError } from '../errors.js';
import { requireInteger } from '../options.js';
import type { Schedule } from './schedule.js';

export interface JoinedPart {
  readonly schedule: Schedule;
  /** Updates this part lasts. Needed for all parts but the last, which goes on forever. */
  readonly steps?: number;
}

/** Schedules one after the other, each counting from 0 where it begins. The last one goes on forever. */
export function joined(parts: readonly JoinedPart[]): Schedule {
  if (parts.length === 0) {
    throw new InvalidOptionError({ parameter: 'joined.parts', found: '[]', expected: 'at least one schedule' });
  }
  const last = parts[parts.length - 1]!.schedule;
  const earlier = parts.slice(0, -1).map(({ schedule, steps }, i) => ({
    schedule,
    steps: requireInteger(`joined.parts[${i}].steps`, steps as number, 1),
  }));
  const at = (k: number): number => {
    let start = 0;
    for (const { schedule, steps } of earlier) {
      if (k < start + steps) return schedule.at(k - start);
      start += steps;
    }
    return last.at(k - start);
  };
  const describe = ({ kind, options }: Schedule) => ({ kind, options });
  const described = [
    ...earlier.map(({ schedule, steps }) => ({ schedule: describe(schedule), steps })),
    { schedule: describe(last) },
  ];
  return { kind: 'joined', options: { parts: described }, at };
}
