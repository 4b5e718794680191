/** What Node offers beside typed arrays, which always start as zeros. */
interface UnfilledBuffers {
  allocUnsafeSlow(bytes: number): Uint8Array<ArrayBuffer>;
}

const buffers = (globalThis as { Buffer?: Partial<UnfilledBuffers> }).Buffer;

/**
 * An array whose every entry will be written before it is read, and that shares its memory with nothing else. Node can
 * leave out filling it with zeros, which costs as much as the pass over it that follows.
 */
export function unfilledFloats(length: number): Float32Array<ArrayBuffer> {
  if (buffers?.allocUnsafeSlow === undefined) return new Float32Array(length);
  const { buffer, byteOffset } = buffers.allocUnsafeSlow(length * Float32Array.BYTES_PER_ELEMENT);
  return new Float32Array(buffer, byteOffset, length);
}
