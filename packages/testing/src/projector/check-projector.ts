import type { Law } from '../law.js';
import type { Report } from '../report.js';
import { runLaws } from '../run-laws.js';
import { BASIS_LAWS } from './basis-laws.js';
import { CONTINUITY_LAWS } from './continuity-laws.js';
import { ENERGY_LAWS } from './energy-laws.js';
import { FITTED_BASIS_LAWS } from './fitted-basis-laws.js';
import { LINEAR_LAWS } from './linear-laws.js';
import { RANDOM_LAWS } from './random-laws.js';
import { REVISION_LAWS } from './revision-laws.js';
import { SIZE_LAWS } from './size-laws.js';
import { EDGE_LAWS, STRUCTURE_LAWS } from './structure-laws.js';
import { type ProjectorFactory, type ProjectorLawOptions, type ProjectorSubject, projectorSubject } from './subject.js';

/** Every law of projectors, in the order in which they are tried. */
export const PROJECTOR_LAWS: readonly Law<ProjectorSubject>[] = [
  ...STRUCTURE_LAWS,
  ...LINEAR_LAWS,
  ...SIZE_LAWS,
  ...EDGE_LAWS,
  ...BASIS_LAWS,
  ...FITTED_BASIS_LAWS,
  ...CONTINUITY_LAWS,
  ...REVISION_LAWS,
  ...RANDOM_LAWS,
  ...ENERGY_LAWS,
];

/**
 * Tries the laws of projectors on what a factory makes, on the current tfjs backend.
 *
 * @param factory Makes the projector from drawn options; also gets the site, for options that depend on the parameter.
 */
export function checkProjector<Options = { readonly density: number }>(
  factory: ProjectorFactory<Options>,
  options: ProjectorLawOptions<Options> = {},
): Promise<Report> {
  const subject = projectorSubject(factory, options);
  return runLaws(options.name ?? `projector ${subject.kind}`, PROJECTOR_LAWS, subject, options);
}
