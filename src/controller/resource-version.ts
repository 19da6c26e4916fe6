/** Whether `a` is later than `b`. Both are decimal numbers that may exceed a double; of one resource they can be compared (KEP-5504). */
export function isNewer(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}
