/** Something is wrong with what was asked for. */
export class UsageError extends Error {}
