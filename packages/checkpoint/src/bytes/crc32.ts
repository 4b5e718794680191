/** Continues the CRC-32 of what came before (0 for nothing) over more bytes. */
export type Crc32 = (bytes: Uint8Array, before: number) => number;

const POLYNOMIAL = 0xedb88320;
const LANES = 8;

/** `TABLES[k][b]`: the CRC of byte b followed by k zero bytes. */
const TABLES: readonly Int32Array[] = makeTables();

/**
 * CRC-32 of ISO 3309 (that of zip and zlib), eight bytes at a time.
 *
 * @param before The CRC of the bytes before these; 0 for none.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as unknown as [
    ...[Int32Array, Int32Array, Int32Array, Int32Array],
    ...[Int32Array, Int32Array, Int32Array, Int32Array],
  ];
  let crc = ~before;
  let at = 0;
  for (const end = bytes.length - LANES; at <= end; at += LANES) {
    crc =
      t7[(crc ^ bytes[at]!) & 255]! ^
      t6[((crc >>> 8) ^ bytes[at + 1]!) & 255]! ^
      t5[((crc >>> 16) ^ bytes[at + 2]!) & 255]! ^
      t4[(crc >>> 24) ^ bytes[at + 3]!]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = t0[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function makeTables(): Int32Array[] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let lane = 1; lane < LANES; lane++) {
    const previous = tables[lane - 1]!;
    tables.push(previous.map(crc => first[crc & 255]! ^ (crc >>> 8)));
  }
  return tables;
}
