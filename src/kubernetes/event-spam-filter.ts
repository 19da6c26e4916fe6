import { TokenBucket } from '../controller/token-bucket.ts';

/** client-go's numbers: so many events of one object at once, and then one every five minutes. */
const BURST = 25;
const PER_SECOND = 1 / 300;

/** Of the others the bucket is full, or nearly. */
const OBJECTS_MAX = 4_096;

/** Keeps one object from using up what is there for all. */
export class EventSpamFilter {
  /** The object that had an event longest ago comes first. */
  readonly #buckets = new Map<string, TokenBucket>();

  /** @param uid of the object that the event is about */
  allows(uid: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(uid) ?? new TokenBucket(PER_SECOND, BURST, nowMs);
    this.#buckets.delete(uid);
    this.#buckets.set(uid, bucket);
    if (this.#buckets.size > OBJECTS_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket.take(nowMs);
  }
}
