import { identityOf } from '../liveness/instance-key.ts';
import type { Narrator } from '../operator/observers.ts';

/** Tells on the terminal, in words, what an object would show in a cluster. */
export const narrator: Narrator = {
  created: (instance) => tell(`${identityOf(instance.key).instanceId} is new: its HeartbeatInstance is created`),
  transitioned(instance, before) {
    const { instanceId } = identityOf(instance.key);
    const healthy = instance.status?.healthy;
    const change = before === undefined ? 'is' : `was ${before}, is`;
    tell(`${instanceId}: Healthy ${change} ${healthy?.status} (${healthy?.reason}). ${healthy?.message ?? ''}`);
  },
};

export function tell(text: string): void {
  process.stdout.write(`${new Date().toTimeString().slice(0, 8)}  ${text}\n`);
}
