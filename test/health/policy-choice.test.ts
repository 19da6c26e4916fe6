/* oxlint-disable unicorn/consistent-function-scoping -- A word that one group of tests uses stands in that group. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObservedPolicy } from '../../src/health/observed-policy.ts';
import { byPrecedence, policiesOf } from '../../src/health/policy-choice.ts';
import { pod } from '../support/builders.ts';
import { policy } from '../support/pod-builders.ts';

const names = (policies: readonly ObservedPolicy[]): readonly string[] => policies.map(({ name }) => name);

describe('Of several policies', () => {
  const high = policy('high', { priority: 10, createdSeconds: 300 });
  const old = policy('old', { createdSeconds: 100 });
  const a = policy('a', { createdSeconds: 200 });
  const b = policy('b', { createdSeconds: 200 });
  const low = policy('low', { priority: -1, createdSeconds: 1 });

  it('the highest priority wins, then the oldest, then the name, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([high, old, a, b, low], { minLength: 5 }), (policies) => {
        expect(names(byPrecedence(policies))).toEqual(['high', 'old', 'a', 'b', 'low']);
      }),
    );
  });

  it('the order is told of any of them, and those that came are left as they were', () => {
    const given = [low, high];
    expect(names(byPrecedence(new Set(given)))).toEqual(['high', 'low']);
    expect(names(given)).toEqual(['low', 'high']);
  });
});

const selects = (app: string): Pick<ObservedPolicy, 'selector'> => ({
  selector: { matchLabels: { app }, matchExpressions: [] },
});

describe('The policies of a Pod', () => {
  const web = { namespace: 'default', labels: { app: 'web' } };

  it('are those that select it, the one that rules it first', () => {
    const ordered = byPrecedence([
      policy('all'),
      policy('web', { ...selects('web'), priority: 5 }),
      policy('cart', { ...selects('cart'), priority: 9 }),
    ]);
    expect(names(policiesOf(web, ordered))).toEqual(['web', 'all']);
  });

  it('are none of another namespace', () => {
    expect(policiesOf(web, [policy('all', { namespace: 'shop' })])).toEqual([]);
  });

  it('are none if none selects it', () => {
    expect(policiesOf(pod('a', { labels: { app: 'db' } }), [policy('web', selects('web'))])).toEqual([]);
  });

  it('are none that is broken: it neither rules the Pod nor hides one that does', () => {
    const selector = { matchLabels: {}, matchExpressions: [{ key: 'app', operator: 'NotIn', values: [] }] };
    const broken = policy('broken', { priority: 100, selector });
    expect(names(policiesOf(web, byPrecedence([policy('all'), broken])))).toEqual(['all']);
  });
});
