import { crc32 } from 'node:zlib';
import type { TokenDataset } from '@frugaljs/llama';

/** A number that tells one text from another: the CRC-32 of its training tokens. */
export function textFingerprint({ train }: Pick<TokenDataset, 'train'>): string {
  const { buffer, byteOffset, byteLength } = train;
  return crc32(new Uint8Array(buffer, byteOffset, byteLength))
    .toString(16)
    .padStart(8, '0');
}
