// What projectors cost: milliseconds of fit, down and up for one matrix, best of several runs.
//
//   node --conditions=@frugaljs/source --import tsx packages/projectors/bench/cost.ts [rows] [columns] [density] [backend]
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { type Basis, type Projector, randomKey, randomNormals, soleSite } from '@frugaljs/core';
import { columns, dct, randK, random, rows, svd } from '@frugaljs/projectors';
import { ready, setBackend, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';

const [m = 1024, n = 1024, density = 0.25] = process.argv.slice(2, 5).map(Number);
const backend = process.argv[5] ?? 'wasm';
await setBackend(backend);
await ready();

/** Best of some runs, after one that does not count. cpu and wasm have finished when a call returns. */
function milliseconds(runs: number, work: () => void): number {
  work();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

const site = soleSite('w', [m, n]);
const g = tensor(randomNormals(randomKey(1), m * n), [m, n]);

function cost(projector: Projector): Record<string, string> {
  const shape = [...projector.reducedShape(site, 0)!];
  const refit = (previous: Basis | null) => () => {
    tidy(() => ({ ...projector.fit(g, previous, { site, refreshIndex: 1 }) }));
  };
  const basis = projector.fit(g, null, { site, refreshIndex: 0 });
  const x: Tensor = tensor(randomNormals(randomKey(2), shape[0]! * (shape[1] ?? 1)), shape);
  const first = milliseconds(2, () => tidy(refit(null)));
  const next = milliseconds(2, () => tidy(refit(basis)));
  const down = milliseconds(10, () => projector.down(g, basis, site).dispose());
  const up = milliseconds(10, () => projector.up(x, basis, site).dispose());
  const bytes = Object.values(basis).reduce((sum, factor) => sum + 4 * factor.size, 0);
  for (const factor of [x, ...Object.values(basis)]) factor.dispose();
  return {
    ...Object.fromEntries(Object.entries({ first, next, down, up }).map(([name, ms]) => [name, ms.toFixed(1)])),
    'basis KiB': (bytes / 1024).toFixed(1),
  };
}

console.log(`${m} × ${n}, density ${density}, backend ${backend}; milliseconds`);
const projectors = [rows, columns, randK, dct, random, svd].map(factory => factory({ density }));
console.table(Object.fromEntries(projectors.map(projector => [projector.kind, cost(projector)])));
