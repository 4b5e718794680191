export { DTYPES, type Dtype, type TensorData } from './dtype.js';
export { SafetensorsReader } from './reader.js';
export type { HostTensor, TensorInfo, TensorToWrite } from './tensor-info.js';
export { toFloat32 } from './to-float32.js';
export { writeSafetensors } from './writer.js';
