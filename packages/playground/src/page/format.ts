const count = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** A whole number with thousands marked. */
export function formatCount(value: number): string {
  return count.format(value);
}

/** Bytes in the unit that needs at most four digits: 1 kB is 1000 bytes. Number and unit stay on one line. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}\u00a0${units[unit]}`;
}

/** A loss in nats. */
export function formatLoss(loss: number): string {
  return loss.toFixed(3);
}
