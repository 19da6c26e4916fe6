import { fetch } from 'undici';
import { identityAt } from './fleet.ts';

/** Heartbeats of some instances in one request: all are heard in the same moment. */
export async function sendBatch(port: number, indexes: Iterable<number>): Promise<void> {
  const instances = Array.from(indexes, (index) => {
    const { serviceId, instanceId } = identityAt(index);
    return { serviceId, instanceId };
  });
  const answer = await fetch(`http://127.0.0.1:${port}/v4/default/registry/heartbeats`, {
    method: 'PUT',
    headers: { 'x-domain-name': 'default', 'content-type': 'application/json' },
    body: JSON.stringify({ instances }),
  });
  const text = await answer.text();
  if (!answer.ok || text.includes('errMessage'))
    throw new Error(`a batch was refused: ${answer.status} ${text.slice(0, 300)}`);
}
