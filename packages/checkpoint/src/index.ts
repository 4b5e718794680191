export { copyCheckpoint, openArchive, writeArchive } from './archive.js';
export {
  BlobSink,
  type ByteSink,
  type ByteSource,
  blobSource,
  bytesSource,
  type Crc32,
  crc32,
  InvalidCheckpointError,
  MemorySink,
} from './bytes.js';
export { Checkpoints, type CheckpointsOptions, type SaveOptions, type Saving } from './checkpoints.js';
export { IndexedDbStore } from './indexed-db-store.js';
export {
  CheckpointVersionError,
  FILES,
  type FileSeal,
  type Manifest,
  type Runtime,
  type SavedComposition,
} from './manifest.js';
export type { NamedTensor, SavableOptimizer } from './optimizer-state.js';
export {
  DTYPES,
  type Dtype,
  type HostTensor,
  SafetensorsReader,
  type TensorData,
  type TensorInfo,
  type TensorToWrite,
  toFloat32,
  writeSafetensors,
} from './safetensors.js';
export {
  CheckpointMismatchError,
  type Difference,
  differencesOf,
  type RestoreReport,
  type RestoreTarget,
  SavedCheckpoint,
} from './saved-checkpoint.js';
export type { TrainingState } from './snapshot.js';
export {
  type CheckpointDraft,
  CheckpointHeldError,
  CheckpointStorageError,
  type CheckpointStore,
  type Lease,
  type LeaseHolder,
  MemoryStore,
  type StorageFault,
  type StoredCheckpoint,
} from './stores.js';
