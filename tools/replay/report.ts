import { ERROR_DEFINITION } from './relative-error.js';
import { BOUND, type ReplayResult } from './replay.js';

/** What the numbers of the report mean. */
export function heading(file: string, backend: string, kernels: string): string[] {
  const bound = BOUND.toExponential(0);
  return [`${file} on ${backend}, kernels: ${kernels}`, `error: ${ERROR_DEFINITION}; at most ${bound} passes`, ''];
}

/** One line per case. */
export function caseLine({ name, official, passed, worst, reason }: ReplayResult): string {
  const mark = passed ? 'ok  ' : 'FAIL';
  const found =
    worst === null
      ? reason
      : worst.error === 0
        ? 'no error'
        : `worst error ${worst.error.toExponential(2)} in ${worst.parameter} after step ${worst.step}`;
  return `${mark} ${name} (${official}): ${found}`;
}

/** The last line, which stands alone. */
export function closingLine(results: readonly ReplayResult[]): string {
  const passed = results.filter(result => result.passed).length;
  return `${passed} passed, ${results.length - passed} failed`;
}
