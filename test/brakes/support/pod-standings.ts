import { DEFAULT_RULES, type PodRules, type StormThreshold } from '../../../src/health/observed-policy.ts';
import type { PodStanding } from '../../../src/brakes/pod-standing.ts';
import type { SilenceFacts } from '../../../src/brakes/storm-group.ts';
import { TTL } from '../../support/builders.ts';

/** A gated Pod of `shop/Deployment/web` that is fresh and serves, unless `parts` say otherwise. */
export function standing(uid: string, parts: Partial<PodStanding> = {}): PodStanding {
  return {
    uid,
    workload: 'shop/Deployment/web',
    node: 'node-1',
    isNodeReady: true,
    silentSinceMs: undefined,
    ttlMs: TTL,
    isFresh: true,
    isServing: true,
    isWithdrawn: false,
    request: 'none',
    rules: DEFAULT_RULES,
    ...parts,
  };
}

/** The default rules, with `parts` in their place. */
export function rules({ storm, ...parts }: RulesParts = {}): PodRules {
  return { ...DEFAULT_RULES, ...parts, storm: { ...DEFAULT_RULES.storm, ...storm } };
}

type RulesParts = Partial<Omit<PodRules, 'storm'>> & { readonly storm?: Partial<StormThreshold> };

/** What groups count of a fresh Pod, unless `parts` say otherwise. */
export function facts(uid: string, parts: Partial<SilenceFacts> = {}): SilenceFacts {
  return {
    uid,
    workload: 'shop/Deployment/web',
    node: 'node-1',
    isNodeReady: true,
    silentSinceMs: undefined,
    ttlMs: TTL,
    isFresh: true,
    isReport: false,
    ...parts,
  };
}

/** `uid-0`, `uid-1`, … */
export function uids(count: number, from = 0): readonly string[] {
  return Array.from({ length: count }, (_, index) => `uid-${from + index}`);
}

/** Always the same numbers from 0 to below 1 for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
