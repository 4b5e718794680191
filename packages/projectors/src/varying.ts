import {
  type Basis,
  type Described,
  describePart,
  type FitContext,
  InvalidOptionError,
  type Projector,
  requirePart,
  type Schedule,
  sameShape,
  scheduleFromJson,
} from '@frugaljs/core';
import { abs, tidy } from '@tensorflow/tfjs-core';

/**
 * A projector whose density changes from refresh to refresh, as AdaFRUGAL's falls from 0.25 to 0.05 over a run:
 *
 *     varying(density => rows({ density }), linear({ from: 0.25, to: 0.05, steps: 100 }))
 *
 * The schedule counts refreshes and not updates. Where the size of the subspace changes, state starts anew, whatever
 * `onRefresh` says; where it stays, as when the rounded size is the same, `onRefresh` holds. Memory is planned refresh by
 * refresh: a report is of the update that it is asked for, and its `peak` of the refresh where the density is highest. Where
 * a schedule of your own does not tell that one (`largestAt`), it is looked for in the first 1000.
 *
 * @param create Makes the projector of a density. Of the same kind and with the same other options for all.
 * @param density The share of the parameter in the subspace, from 0 to 1, by refresh.
 * @throws InvalidOptionError for a schedule that leaves [0, 1], when it does, and for a function that makes no projector.
 *
 * Source: AdaFRUGAL (arXiv 2601.11568), for the falling density.
 */
export function varying(create: (density: number) => Projector, density: Schedule): Projector {
  const made = new Map<number, Projector>();
  const at = (refreshIndex: number): Projector => {
    const share = density.at(refreshIndex);
    if (!(share >= 0 && share <= 1)) {
      throw new InvalidOptionError({
        parameter: `varying.density at refresh ${refreshIndex}`,
        found: share,
        expected: 'a number in [0, 1]',
      });
    }
    let projector = made.get(share);
    if (projector === undefined) {
      projector = create(share);
      requirePart('varying.create(density)', projector, 'projector', 'a projector such as rows({ density })');
      // A schedule has as many densities as refreshes, of which two are in use.
      if (made.size >= 8) made.clear();
      made.set(share, projector);
    }
    return projector;
  };
  const first = at(0);
  const { density: _, ...options } = first.options;
  const { traits, revision, keeps, leavesOut, shapeWith, upRows, transport } = first;
  let largest: number | undefined;
  return {
    kind: 'varying',
    options: { projector: { kind: first.kind, options }, density: describePart(density) as never },
    traits,
    ...(revision === undefined ? {} : { revision }),
    check: site => first.check?.(site),
    reducedShape: (site, refreshIndex) => at(refreshIndex).reducedShape(site, refreshIndex),
    ...(keeps === undefined ? {} : { keeps: site => keeps.call(first, site) }),
    ...(leavesOut === undefined ? {} : { leavesOut: site => leavesOut.call(first, site) }),
    ...(shapeWith === undefined ? {} : { shapeWith: (basis, site) => shapeWith.call(first, basis, site) }),
    // Where blocks take turns, the size of one depends on the turn as well.
    ...(leavesOut === undefined ? { largestAt: () => (largest ??= density.largestAt ?? largestOf(density)) } : {}),
    basis: (site, refreshIndex = 0) => at(refreshIndex).basis(site, refreshIndex),
    fit: (g, previous, context) => {
      const { refreshIndex } = context;
      return at(refreshIndex).fit(g, isOfSize(previous, context, at(refreshIndex)) ? previous : null, context);
    },
    // What a basis is of, it says itself.
    down: (g, basis, site) => first.down(g, basis, site),
    up: (x, basis, site) => first.up(x, basis, site),
    ...(upRows === undefined ? {} : { upRows: (basis, site) => upRows.call(first, basis, site) }),
    ...(transport === undefined
      ? {}
      : {
          transport: (x, from, to, site, degree) => {
            if (haveSameShapes(from, to)) return transport.call(first, x, from, to, site, degree);
            return tidy(() => {
              const carried = first.down(first.up(x, from, site), to, site);
              return degree === 1 ? carried : abs(carried);
            });
          },
        }),
  };
}

/** Refreshes among which the highest density is looked for. */
const REFRESHES = 1000;

function largestOf(density: Schedule): number {
  let best = 0;
  for (let i = 1; i < REFRESHES; i++) if (density.at(i) > density.at(best)) best = i;
  return best;
}

/** The options of a varying projector, as JSON. */
export interface VaryingJson {
  /** Without a density. */
  readonly projector: Described;
  readonly density: Described;
}

/**
 * The varying projector of its JSON.
 *
 * @param projectorOf Makes the projector within it.
 */
export function varyingOf({ projector, density }: VaryingJson, projectorOf: (json: Described) => Projector): Projector {
  const { kind, options } = projector;
  return varying(share => projectorOf({ kind, options: { ...options, density: share } }), scheduleFromJson(density));
}

function haveSameShapes(a: Basis, b: Basis): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every(name => b[name] !== undefined && sameShape(a[name]!.shape, b[name].shape))
  );
}

/** Whether a projector may begin with the basis before. */
function isOfSize(previous: Basis | null, { site, refreshIndex }: FitContext, projector: Projector): boolean {
  if (previous === null) return false;
  const specs = Object.entries(projector.basis(site, refreshIndex));
  return (
    specs.length === Object.keys(previous).length &&
    specs.every(([name, { shape }]) => {
      const before = previous[name]?.shape;
      if (before === undefined) return false;
      // Of vectors that follow from the gradient there may be fewer.
      const isFewer = projector.shapeWith !== undefined && before[0] === shape[0] && before[1]! <= shape[1]!;
      return isFewer || sameShape(before, shape);
    })
  );
}
