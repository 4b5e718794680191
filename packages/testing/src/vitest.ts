import { type DescribeOptions, describeSuite } from './describe-suite.js';
import { PROJECTOR_LAWS } from './projector/check-projector.js';
import { type ProjectorFactory, type ProjectorLawOptions, projectorSubject } from './projector/subject.js';

export type { DescribeOptions } from './describe-suite.js';

/** A vitest suite of the laws of projectors; see {@link checkProjector} for the same without vitest. */
export function describeProjectorLaws<Options = { readonly density: number }>(
  factory: ProjectorFactory<Options>,
  options: ProjectorLawOptions<Options> & DescribeOptions = {},
): void {
  const subject = projectorSubject(factory, options);
  describeSuite(options.name ?? `laws of projector ${subject.kind}`, PROJECTOR_LAWS, subject, options);
}
