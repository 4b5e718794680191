import { formatCount } from '../terminal/units.js';
import type { ComparisonSettings } from './result.js';

/** One sentence on what the comparison can show and what not. */
export function caveat({ steps, parameters }: Pick<ComparisonSettings, 'steps' | 'parameters'>): string {
  return (
    `A run of ${formatCount(steps)} step${steps === 1 ? '' : 's'} on ${formatCount(parameters)} weights shows what each method stores and costs, and that it ` +
    'learns; it does not rank them: differences of a few hundredths in loss are within what another seed changes, and ' +
    'methods that restart their moments often look better early than they do after the 100,000s of steps of a real run.'
  );
}
