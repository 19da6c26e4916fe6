/* oxlint-disable vitest/valid-title -- A title goes on with the sentence that its group began. */
import { beforeEach, describe, expect, it } from 'vitest';
import { PodConfirmations, READY_FOLLOWS_MS } from '../../src/controller/pod-confirmations.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import { pod } from '../support/builders.ts';

const UID = 'uid-of-web-1';

let confirmations: PodConfirmations;

beforeEach(() => {
  confirmations = new PodConfirmations();
});

const web = (parts: Partial<ObservedPod>): ObservedPod => pod('web-1', parts);
const ready = web({ isReady: true });
/** Only our gate is in the way. */
const notReady = web({ isReady: false, isReadyButForGate: true });
/** Its containers, or another gate, are in the way. */
const notReadyAnyway = web({ isReady: false, isReadyButForGate: false });

describe('Of Ready, after our condition was written True,', () => {
  beforeEach(() => {
    confirmations.expect(UID, 'True', 1_000);
  });

  it('nothing is told for a while', () => {
    expect(confirmations.check(notReady, 1_100)).toEqual({ kind: 'waiting', lookAgainMs: READY_FOLLOWS_MS - 100 });
  });

  it('is told once that it has followed when the Pod is ready, and how long that took', () => {
    confirmations.check(notReady, 1_100);
    expect(confirmations.check(ready, 1_900)).toEqual({ kind: 'followed', tookMs: 900 });
    expect(confirmations.check(ready, 2_000)).toEqual({ kind: 'nothing' });
  });

  it('is told that it is missing when the bound has passed, to the millisecond, and that is news once', () => {
    expect(confirmations.check(notReady, 1_000 + READY_FOLLOWS_MS - 1)).toEqual({ kind: 'waiting', lookAgainMs: 1 });
    expect(confirmations.check(notReady, 1_000 + READY_FOLLOWS_MS)).toEqual({ kind: 'missing', isNew: true });
    expect(confirmations.check(notReady, 60_000)).toEqual({ kind: 'missing', isNew: false });
  });

  it('is told that it has followed even then', () => {
    confirmations.check(notReady, 20_000);
    expect(confirmations.check(ready, 31_000)).toEqual({ kind: 'followed', tookMs: 30_000 });
    expect(confirmations.check(notReady, 40_000)).toEqual({ kind: 'nothing' });
  });

  it('is never told that it is missing if the containers are not ready: an open gate alone makes no Pod ready', () => {
    expect(confirmations.check(notReadyAnyway, 60_000).kind).not.toBe('missing');
  });

  // Nothing was seen to follow; counted, it would make the time that the kubelet takes look like nothing.
  it('is not told that it has followed, either, if the containers are not ready', () => {
    expect(confirmations.check(notReadyAnyway, 1_000).kind).not.toBe('followed');
  });
});

describe.each(['False', 'Unknown'] as const)('Of Ready, after our condition was written %s,', (status) => {
  beforeEach(() => {
    confirmations.expect(UID, status, 1_000);
  });

  it('is told that it has followed when the Pod is not ready', () => {
    expect(confirmations.check(ready, 1_020)).toEqual({ kind: 'waiting', lookAgainMs: READY_FOLLOWS_MS - 20 });
    expect(confirmations.check(notReady, 1_050)).toEqual({ kind: 'followed', tookMs: 50 });
  });

  it('is told that it is missing if the Pod stays ready: it still gets traffic', () => {
    expect(confirmations.check(ready, 1_000 + READY_FOLLOWS_MS)).toEqual({ kind: 'missing', isNew: true });
  });
});

describe('What is waited for', () => {
  it('is nothing where nothing was written', () => {
    expect(confirmations.check(notReady, 0)).toEqual({ kind: 'nothing' });
  });

  it('is what was written last', () => {
    confirmations.expect(UID, 'False', 1_000);
    confirmations.expect(UID, 'True', 9_000);
    expect(confirmations.check(notReady, 12_000)).toEqual({ kind: 'waiting', lookAgainMs: 7_000 });
    expect(confirmations.check(ready, 12_500)).toEqual({ kind: 'followed', tookMs: 3_500 });
  });

  it('is news again after another write', () => {
    confirmations.expect(UID, 'True', 0);
    confirmations.check(notReady, READY_FOLLOWS_MS);
    confirmations.expect(UID, 'True', 50_000);
    expect(confirmations.check(notReady, 50_000 + READY_FOLLOWS_MS)).toEqual({ kind: 'missing', isNew: true });
  });

  it('is nothing of a Pod without the gate, whose Ready does not depend on us', () => {
    confirmations.expect(UID, 'False', 0);
    expect(confirmations.check(web({ hasGate: false, isReady: true }), 60_000)).toEqual({ kind: 'nothing' });
    expect(confirmations.check(ready, 60_000)).toEqual({ kind: 'nothing' });
  });

  it('is forgotten with the Pod', () => {
    confirmations.expect(UID, 'True', 0);
    confirmations.forget(UID);
    expect(confirmations.check(notReady, 60_000)).toEqual({ kind: 'nothing' });
  });

  it('I16: is that of one Pod and not of its namesake', () => {
    confirmations.expect('uid-of-the-first', 'True', 0);
    expect(confirmations.check(notReady, 60_000)).toEqual({ kind: 'nothing' });
  });
});
