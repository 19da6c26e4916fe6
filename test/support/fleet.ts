import { Agent, request } from 'node:http';

export interface FleetOptions {
  readonly port: number;
  readonly serviceId: string;
  readonly count: number;
  readonly intervalMs: number;
}

/** Workloads that send a heartbeat every interval, spread over it, each over kept connections, and count the answers. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #silent = new Set<string>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #underWay = new Set<Promise<void>>();
  sent = 0;
  accepted = 0;
  /** Answers other than 200, by status. */
  readonly refused = new Map<number, number>();
  /** Heartbeats that got no answer, by error code. */
  readonly unanswered = new Map<string, number>();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get instanceIds(): readonly string[] {
    return Array.from({ length: this.#options.count }, (_, index) => `${this.#options.serviceId}-${index}`);
  }

  start(): void {
    const { count, intervalMs } = this.#options;
    for (const [index, instanceId] of this.instanceIds.entries()) {
      const offsetMs = (index / count) * intervalMs;
      this.#timers.push(
        setTimeout(() => {
          this.#beat(instanceId);
          this.#timers.push(setInterval(() => this.#beat(instanceId), intervalMs));
        }, offsetMs),
      );
    }
  }

  silence(instanceId: string): void {
    this.#silent.add(instanceId);
  }

  /** One heartbeat now; resolves with the status, or rejects when there is no answer. */
  async beatOnce(instanceId: string): Promise<number> {
    const { port, serviceId } = this.#options;
    const answer = Promise.withResolvers<number>();
    const beat = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port,
      method: 'PUT',
      path: `/v4/default/registry/microservices/${serviceId}/instances/${instanceId}/heartbeat`,
      headers: { 'x-domain-name': 'default' },
    });
    beat.on('response', (response) => {
      response.resume();
      response.on('end', () => answer.resolve(response.statusCode ?? 0));
    });
    beat.on('error', (error) => answer.reject(error));
    beat.end();
    return answer.promise;
  }

  /** Sends nothing more and resolves when every answer is here. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#underWay);
    this.#agent.destroy();
  }

  #beat(instanceId: string): void {
    if (this.#silent.has(instanceId)) return;
    this.sent += 1;
    const answered = this.#count(instanceId).finally(() => this.#underWay.delete(answered));
    this.#underWay.add(answered);
  }

  async #count(instanceId: string): Promise<void> {
    try {
      const status = await this.beatOnce(instanceId);
      if (status === 200) this.accepted += 1;
      else this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException;
      this.unanswered.set(code, (this.unanswered.get(code) ?? 0) + 1);
    }
  }
}
