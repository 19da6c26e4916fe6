import { Agent, request } from 'node:http';

export interface SimulatedWorkloadParts {
  readonly serviceId: string;
  readonly instanceId: string;
  readonly port: number;
  readonly intervalMs: number;
}

/** A workload that sends heartbeats over HTTP as any other would, and can fall silent. */
export class SimulatedWorkload {
  readonly #parts: SimulatedWorkloadParts;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  isSilent = false;

  constructor(parts: SimulatedWorkloadParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#beat();
    setInterval(() => this.#beat(), this.#parts.intervalMs).unref();
  }

  #beat(): void {
    if (this.isSilent) return;
    const { serviceId, instanceId, port } = this.#parts;
    const beat = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port,
      method: 'PUT',
      path: `/v4/default/registry/microservices/${serviceId}/instances/${instanceId}/heartbeat`,
      headers: { 'x-domain-name': 'default' },
    });
    beat.on('response', (response) => response.resume());
    // The operator is stopping or busy: a workload would try again with its next heartbeat, and so does this one.
    beat.on('error', () => undefined);
    beat.end();
  }
}
