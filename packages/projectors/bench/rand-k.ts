// What a refresh of randK costs: milliseconds for the choice of entries, hashing each entry (revision 1, for runs that
// began with it) and as it is now. The two take turns in one run, so that their ratio holds on a busy machine too.
//
//   node --conditions=@frugaljs/source --import tsx packages/projectors/bench/rand-k.ts [entries] [turns]
import '@tensorflow/tfjs-backend-cpu';
import { soleSite } from '@frugaljs/core';
import { randK } from '@frugaljs/projectors';
import { dispose } from '@tensorflow/tfjs-core';

const [entries = 64_000_000, turns = 3] = process.argv.slice(2).map(Number);
const site = soleSite('w', [entries]);

function milliseconds(density: number, revision: number, refreshIndex: number): number {
  const start = performance.now();
  const basis = randK({ density }).fit(null, null, { site, refreshIndex, revision });
  const took = performance.now() - start;
  dispose({ ...basis });
  return took;
}

console.log(`randK of ${entries.toLocaleString('en-US')} entries, best of ${turns} turns; milliseconds`);
const table: Record<string, Record<string, string>> = {};
for (const density of [0.001, 0.01, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9]) {
  const [each, now] = [[], []] as [number[], number[]];
  for (let turn = 0; turn < turns; turn++) {
    each.push(milliseconds(density, 1, turn));
    now.push(milliseconds(density, 2, turn));
  }
  const [slow, fast] = [Math.min(...each), Math.min(...now)];
  table[density] = { 'a hash per entry': slow.toFixed(0), now: fast.toFixed(1), ratio: (slow / fast).toFixed(0) };
}
console.table(table);
