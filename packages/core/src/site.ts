import type { Shape } from './shape.js';

/** A parameter as its group sees it. */
export interface SiteMember {
  readonly name: string;
  readonly shape: Shape;
}

/** The place where a rule works: one parameter, and what it needs to know of its neighbors. */
export interface Site {
  /** Name of the parameter. */
  readonly name: string;
  /** Shape of the gradient that arrives here; inside a subspace that is the reduced shape. */
  readonly shape: Shape;
  /** Seed of the optimizer. */
  readonly seed: number;
  /** Where in the composition this is (`''` at the top, then `rule`, `residual`, `residual/rule` …). */
  readonly path: string;
  /** The parameters of the same group, in order; block-wise projectors choose among them. */
  readonly members: readonly SiteMember[];
  /** Position of this parameter in `members`. */
  readonly index: number;
}

/** A site that stands alone in its group. */
export function soleSite(name: string, shape: Shape, seed = 0): Site {
  return { name, shape, seed, path: '', members: [{ name, shape }], index: 0 };
}

/** The same parameter one level further down in the composition. */
export function childSite(site: Site, step: string, shape: Shape): Site {
  return { ...site, shape, path: site.path === '' ? step : `${site.path}/${step}` };
}
