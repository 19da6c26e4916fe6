import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/settings.ts';
import { TokenBucket } from '../controller/token-bucket.ts';
import { Senders } from '../heartbeat-api/senders.ts';
import { REPEATED_REVIEWS, TokenCache, UNPROVED_REVIEWS } from '../heartbeat-api/token-cache.ts';
import { parseTrustedProxies } from '../heartbeat-api/trusted-proxies.ts';
import { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Backend } from './backend.ts';

export interface BuildSendersParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly backend: Pick<Backend, 'reviewToken'>;
}

/** Who sends a heartbeat: tokens are reviewed by the API server, and what it said is remembered. */
export function buildSenders({ config, clock, logger, metrics, backend }: BuildSendersParts): Senders {
  const repeated = new RepeatedWarning(logger, () => clock.nowMs());
  const proxies = parseTrustedProxies(config.trustedProxies);
  // The settings were checked with the same rule.
  if (proxies.kind === 'mistake') throw new Error(proxies.mistake);
  const nowMs = clock.nowMs();
  return new Senders({
    auth: config.senderAuth,
    trustedProxies: proxies.proxies,
    tokens: new TokenCache({
      review: (token) => backend.reviewToken(token),
      unprovedReviews: new TokenBucket(UNPROVED_REVIEWS.perSecond, UNPROVED_REVIEWS.burst, nowMs),
      repeatedReviews: new TokenBucket(REPEATED_REVIEWS.perSecond, REPEATED_REVIEWS.burst, nowMs),
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      onReviewed: (verdict) => {
        metrics.tokenReviews.inc({ result: verdict.kind });
        if (verdict.kind === 'unreachable') {
          repeated.warn('review', { error: verdict.message }, 'token of a sender cannot be reviewed');
        }
      },
      tokensMax: config.instancesMax * 2,
    }),
    schedule: (delayMs, task) => clock.schedule(delayMs, task),
  });
}
