import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Everything that lies in a folder of checkpoints, and in its lease, except for what says who holds it; sorted. */
export function contentsOf(folder: string): string[] {
  const lease = join(folder, '.lease');
  const inLease = existsSync(lease) ? readdirSync(lease).flatMap(holder => readdirSync(join(lease, holder))) : [];
  const names = [...readdirSync(folder), ...inLease].sort();
  return names.filter(name => name !== '.lease' && name !== 'holder.json');
}
