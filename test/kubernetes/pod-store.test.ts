import { afterEach, describe, expect, it } from 'vitest';
import type { ApiClient } from '../../src/kubernetes/api-client.ts';
import { KubernetesPodStore, podConditionGenerationSupported } from '../../src/kubernetes/pod-store.ts';
import { pod, podCondition } from '../support/builders.ts';
import { type Answer, refusal, type ScriptedServer, startScriptedServer, text } from './support/scripted-server.ts';

let server: ScriptedServer | undefined;

async function clientOf(...answers: readonly Answer[]): Promise<ApiClient> {
  server = await startScriptedServer(answers);
  return server.client;
}

async function storeOn(...answers: readonly Answer[]): Promise<KubernetesPodStore> {
  return new KubernetesPodStore(await clientOf(...answers), { knowsGeneration: true });
}

afterEach(() => server?.stop());

const TARGET = pod('web-1');

/** The Pod as it is stored now. */
function found(uid: string): Answer {
  const metadata = { uid, name: 'web-1', namespace: 'default', resourceVersion: '9' };
  return text(JSON.stringify({ kind: 'Pod', metadata, spec: {} }));
}

/** The one that is meant, and one that was made in its place. */
const [SAME, OTHER] = [found(TARGET.uid), found('uid-of-its-namesake')];

describe('Writing the condition of a Pod', () => {
  it.each([
    ['invalid', 422, 'Invalid'],
    ['a conflict', 409, 'Conflict'],
  ])('I16: is absent when the server calls it %s and another Pod has the name', async (_what, code, reason) => {
    const store = await storeOn(refusal(code, reason), OTHER);
    expect(await store.writeCondition(TARGET, podCondition())).toEqual({ kind: 'absent' });
  });

  it.each([
    ['invalid', 422, 'Invalid'],
    ['a conflict', 409, 'Conflict'],
  ])('I16: is absent when the server calls it %s and the Pod is gone by then', async (_what, code, reason) => {
    const store = await storeOn(refusal(code, reason), refusal(404, 'NotFound'));
    expect(await store.writeCondition(TARGET, podCondition())).toEqual({ kind: 'absent' });
  });

  it('is refused as invalid when the server calls it so and the Pod is the one that is meant', async () => {
    const store = await storeOn(refusal(422, 'Invalid'), SAME);
    expect(await store.writeCondition(TARGET, podCondition())).toMatchObject({
      kind: 'refused',
      reason: 'Invalid',
      message: 'writing the condition of Pod default/web-1: 422 Invalid: as told',
    });
  });

  it('I22: is refused, and holds up nobody else, when other writers of the same Pod were faster', async () => {
    const store = await storeOn(refusal(409, 'Conflict'), SAME);
    expect(await store.writeCondition(TARGET, podCondition())).toMatchObject({ kind: 'refused', reason: 'Other' });
  });

  it('keeps to what the server said when the Pod cannot be looked at', async () => {
    const store = await storeOn(refusal(422, 'Invalid'), refusal(503, 'ServiceUnavailable'));
    expect(await store.writeCondition(TARGET, podCondition())).toMatchObject({ kind: 'refused', reason: 'Invalid' });
  });

  it('is absent when the answer shows another Pod', async () => {
    const store = await storeOn(OTHER);
    expect(await store.writeCondition(TARGET, podCondition())).toEqual({ kind: 'absent' });
  });

  it('is forced, and in our name', async () => {
    const store = await storeOn(SAME);
    await store.writeCondition(TARGET, podCondition());
    expect(server?.queries.map(String)).toEqual(['fieldManager=heartbeat-operator&force=true']);
  });
});

describe.each([
  ['Reading a Pod', (store: KubernetesPodStore) => store.read(TARGET)],
  ['Writing the condition of a Pod', (store: KubernetesPodStore) => store.writeCondition(TARGET, podCondition())],
])('%s', (_what, call) => {
  it.each([
    ['is absent when there is none', refusal(404, 'NotFound'), { kind: 'absent' }],
    ['is refused when the right is missing', refusal(403, 'Forbidden'), { kind: 'refused', reason: 'Forbidden' }],
    ['is refused when nobody knows us', refusal(401, 'Unauthorized'), { kind: 'refused', reason: 'Other' }],
    [
      'is throttled for as long as the server says',
      refusal(429, 'TooManyRequests', { 'retry-after': '3' }),
      { kind: 'throttled', retryAfterMs: 3_000 },
    ],
    ['is unreachable when the server is in trouble', refusal(500, 'InternalError'), { kind: 'unreachable' }],
    ['is unreachable when a proxy answers for the server', text('<html>welcome</html>'), { kind: 'unreachable' }],
    ['shows the Pod as it is now', SAME, { kind: 'pod', pod: { uid: TARGET.uid, resourceVersion: '9' } }],
  ])('%s', async (_title, answer, outcome) => {
    // A refused token is tried once more.
    expect(await call(await storeOn(answer, answer))).toMatchObject(outcome);
  });
});

describe('Whether conditions of Pods have an observedGeneration', () => {
  it.each([
    ['1.32', { major: '1', minor: '32' }, false],
    ['1.33', { major: '1', minor: '33' }, true],
    ['1.33 of a provider', { major: '1', minor: '33+' }, true],
    ['1.40', { major: '1', minor: '40' }, true],
    ['a version without numbers', { major: '', minor: '' }, false],
    ['a major version that we do not know', { major: '2', minor: '40' }, false],
    ['no version', {}, false],
    ['no object', 'v1.40', false],
  ])('is known of a server of %s', async (_what, version, isSupported) => {
    expect(await podConditionGenerationSupported(await clientOf(text(JSON.stringify(version))))).toBe(isSupported);
  });

  it('is taken for a no when the server does not tell', async () => {
    expect(await podConditionGenerationSupported(await clientOf(refusal(403, 'Forbidden')))).toBe(false);
  });
});
