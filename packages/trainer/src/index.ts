/**
 * `@frugaljs/trainer`: training runs and comparisons of optimizers, and the `frugal` command. Nothing that this entry
 * exports needs Node; what reads and writes files is part of the command.
 */
export { guardWasmHeap } from '@frugaljs/backend-wasm/heap-guard';
export { DeviceLostError, type MemoryKind, OutOfMemoryError } from '@frugaljs/core';
export { type BackendName, backendNames, registerGradients, selectBackend } from './backend.js';
export { caveat } from './comparison/caveat.js';
export { type CompareOptions, compare } from './comparison/compare.js';
export { COMPARISON_DEFAULTS, type ComparisonDefaults } from './comparison/defaults.js';
export { type JsonObject, type Method, type MethodSpec, optimizerOf, parseMethods } from './comparison/method.js';
export { comparisonModel } from './comparison/model.js';
export type { Comparison, ComparisonSettings, RunResult, RunStatus } from './comparison/result.js';
export { comparisonTable } from './comparison/table.js';
export { type RunLength, tunedMethod, updateGap } from './comparison/tuning.js';
export { LossSpikeDetector } from './durable/loss-spike.js';
export type { RollbackOptions } from './durable/rollback.js';
export type { Rollback, RunState } from './durable/run-state.js';
export { type DurableOptions, type DurableResult, trainDurably } from './durable/train-durably.js';
export { DivergedError } from './errors.js';
export { explainFailure } from './hardening/failure-kind.js';
export { type BackendLimits, backendLimits, type PlannedBackend, plannedBackends } from './memory/backend-limits.js';
export type { Candidate } from './memory/candidate.js';
export {
  type LlamaModel,
  type MemoryEstimate,
  memoryOf,
  type OtherModel,
  type PlannedModel,
} from './memory/memory-of.js';
export { outOfMemoryAdvice } from './memory/out-of-memory-advice.js';
export { limitsOf, type Plan, type PlanOptions, plan, type Room } from './memory/plan.js';
export { comparisonReport } from './report/report.js';
export { evaluate } from './training/evaluate.js';
export { RunRecord, type Timing } from './training/record.js';
export { type ScheduleName, type ScheduleOptions, scheduleNames, trainingSchedule } from './training/schedule.js';
export { SmoothedLoss, smoothed } from './training/smoothed-loss.js';
export { type Step, type StepsOptions, trainingSteps } from './training/steps.js';
export {
  type Evaluation,
  type RunHistory,
  type StepEnd,
  type TrainingResult,
  type TrainOptions,
  train,
} from './training/train.js';
export type { GradientConsumer, TrainableModel, TrainingData } from './training/trainable.js';
