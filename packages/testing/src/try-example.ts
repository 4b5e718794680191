import { engine, memory, type Variable } from '@tensorflow/tfjs-core';
import { BrokenLaw, type Law } from './law.js';

/** The check under way. Scopes and counts of tensors belong to the process, so checks take turns. */
let underWay: Promise<void> = Promise.resolve();

/** Checks one example after those under way; whatever it does, no tensor outlives it. */
export function tryExample<Subject>(law: Law<Subject>, subject: Subject, example: unknown): Promise<void> {
  const check = (): Promise<void> => (law.freesItself ? tryOwner : tryInScope)(law, subject, example);
  const result = underWay.then(check);
  underWay = result.catch(() => {});
  return result;
}

async function tryInScope<Subject>(law: Law<Subject>, subject: Subject, example: unknown): Promise<void> {
  const { numTensors } = memory();
  // tf.tidy ends with its callback and cannot wait for a read; a scope can.
  engine().startScope(law.name);
  try {
    await law.check(subject, example);
  } finally {
    engine().endScope();
  }
  const left = memory().numTensors - numTensors;
  if (left !== 0) throw new BrokenLaw(`${left} tensors outlive tf.tidy; tf.keep or tf.variable must not be used here`);
}

async function tryOwner<Subject>(law: Law<Subject>, subject: Subject, example: unknown): Promise<void> {
  // What a first run leaves behind may be a cache, such as a cosine table per size; a second one must add nothing.
  if ((await tensorsLeftBy(law, subject, example)) === 0) return;
  const left = await tensorsLeftBy(law, subject, example);
  if (left !== 0) throw new BrokenLaw(`${left} tensors outlive the optimizer after dispose()`);
}

async function tensorsLeftBy<Subject>(law: Law<Subject>, subject: Subject, example: unknown): Promise<number> {
  const { numTensors } = memory();
  const known = new Set(variables());
  try {
    await law.check(subject, example);
  } catch (error) {
    // The next example uses the same names.
    for (const variable of variables()) if (!known.has(variable)) variable.dispose();
    throw error;
  }
  return memory().numTensors - numTensors;
}

function variables(): readonly Variable[] {
  return Object.values(engine().registeredVariables);
}
