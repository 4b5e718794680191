import type { BackendLimits } from './backend-limits.js';
import { formatBinaryBytes } from './byte-size.js';
import type { MemoryEstimate } from './memory-of.js';

/** Whether a run stays within limits. */
export function fits(
  { peakBytes, largestTensor }: MemoryEstimate,
  { totalBytes, tensorBytes }: BackendLimits,
): boolean {
  return (
    (totalBytes === null || peakBytes <= totalBytes) && (tensorBytes === null || largestTensor.bytes <= tensorBytes)
  );
}

/** What keeps a run from fitting, in clauses; empty if it fits. */
export function obstacles(memory: MemoryEstimate, limits: BackendLimits): string[] {
  const { peakBytes, largestTensor } = memory;
  const found: string[] = [];
  if (limits.totalBytes !== null && peakBytes > limits.totalBytes) {
    const excess = formatBinaryBytes(peakBytes - limits.totalBytes);
    found.push(`everything would take ${formatBinaryBytes(peakBytes)}, ${excess} more than ${limits.total}`);
  }
  if (limits.tensorBytes !== null && largestTensor.bytes > limits.tensorBytes) {
    const [tensor, limit] = [largestTensor.bytes, limits.tensorBytes].map(formatBinaryBytes);
    found.push(`${largestTensor.name} takes ${tensor}, more than ${limits.tensor}, ${limit}`);
  }
  return found;
}
