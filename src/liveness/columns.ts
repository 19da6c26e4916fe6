/** A column is made half as long again when it is full: copying stays rare and little memory lies unused. */
const GROWTH = 1.5;

/** The length to give columns so that `slot` fits. */
export function grownLength(length: number, slot: number): number {
  return Math.max(slot + 1, Math.ceil(length * GROWTH), 64);
}

export function grownFloat64(
  column: Float64Array<ArrayBuffer>,
  length: number,
  fill: number,
): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(length);
  grown.set(column);
  if (fill !== 0) grown.fill(fill, column.length);
  return grown;
}

export function grownInt32(column: Int32Array<ArrayBuffer>, length: number, fill: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(length);
  grown.set(column);
  if (fill !== 0) grown.fill(fill, column.length);
  return grown;
}

export function grownUint8(column: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(length);
  grown.set(column);
  return grown;
}
