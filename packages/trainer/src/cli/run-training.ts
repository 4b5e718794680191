import { savedRunState } from '../durable/resume.js';
import { recipeName } from '../recipe-name.js';
import { Progress } from '../terminal/progress.js';
import type { Streams } from '../terminal/streams.js';
import { EventLog } from './event-log.js';
import { withOwnTokenizer } from './initial-weights.js';
import { watchInterrupts } from './interruption.js';
import { explainedMismatch } from './mismatch-advice.js';
import { openCheckpoints } from './open-checkpoints.js';
import { requireAllWritable } from './output-file.js';
import { recipeOptions } from './recipe-options.js';
import { optimizerFor } from './run-optimizer.js';
import { RunStore } from './run-store.js';
import { type RunParts, trainAndReport } from './train-and-report.js';
import { resumedRequest, type TrainingRequest } from './training-request.js';

/**
 * Trains as the command line asks for: progress goes to standard error, the result to standard output.
 *
 * @param given Names of the options that were given on the command line: over what a checkpoint remembers.
 * @returns The exit code.
 */
export async function runTraining(
  asked: TrainingRequest,
  given: ReadonlySet<string>,
  streams: Streams,
): Promise<number> {
  const progress = new Progress(streams.stderr);
  const notice = (line: string): void => progress.print(line);
  const { folder, saved } = await openCheckpoints(asked, notice);
  const remembered = saved === null ? null : await savedRunState(saved);
  const request = resumedRequest(withOwnTokenizer(asked, given), given, remembered?.settings ?? null);
  const name = recipeName(request.optimizer);
  const options = recipeOptions(name, request);
  const optimizer = optimizerFor(name, options, request);
  const { json: jsonFile, log: logFile } = await requireAllWritable({ json: request.json, log: request.log });
  const store = new RunStore(request, folder, notice);
  await store.prepare();
  const log = new EventLog(logFile, saved !== null);
  const saving = store.saves === 'never' ? '' : ', then saving';
  const interruption = watchInterrupts(notice, `Stopping after this step${saving}`);
  const parts: RunParts = { request, name, options, optimizer, store, saved, log, progress, interruption, jsonFile };
  try {
    return await trainAndReport(parts, streams.stdout);
  } catch (error) {
    if (saved === null) throw error;
    const namesRate = ['schedule', 'lr', 'warmup'].some(option => given.has(option));
    throw explainedMismatch(error, { saved, composition: optimizer.toJSON(), steps: request.steps, namesRate });
  } finally {
    progress.clear();
    interruption.release();
    log.close();
    optimizer.dispose();
  }
}
