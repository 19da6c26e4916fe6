import type { Figure } from './measurement.ts';

/** The most that a figure may be, and why just that. */
export interface Budget {
  /** Name of the measurement that brings the figure. */
  readonly measurement: string;
  readonly figure: string;
  readonly max: number;
  readonly reason: string;
}

/** Every promise about speed and size. Where a machine's speed would count, the figure is a ratio within one run. */
export const BUDGETS: readonly Budget[] = [
  {
    measurement: 'heartbeats',
    figure: 'CPU of a heartbeat, operator to bare server',
    max: 1.3,
    reason: 'routing, checking and noting a heartbeat is to cost little beside what Node itself takes for a request',
  },
  {
    measurement: 'memory',
    figure: 'bytes per instance, engine',
    max: 250,
    reason: 'the key is 90 bytes, a place in a map 40, columns and deadline 40, and what grows has spare room',
  },
  {
    measurement: 'memory',
    figure: 'bytes per instance, process',
    max: 1_200,
    reason: 'a few hundred bytes of objects, twice for what the heap keeps free: 20,000 instances in 24 MB',
  },
  {
    measurement: 'stalls',
    figure: 'longest stall, mass silence',
    max: 25,
    reason: 'a tenth of what counts as a stall of our own: heartbeats go on when a whole fleet falls silent',
  },
  {
    measurement: 'stalls',
    figure: 'longest stall, deadlines that moved',
    max: 25,
    reason: 'it happens once in each time to live, in every fleet',
  },
  {
    measurement: 'stalls',
    figure: 'longest stall, scrapes and pages',
    max: 25,
    reason: 'Prometheus comes every few seconds, and a heartbeat must not wait for it',
  },
  {
    measurement: 'verdicts',
    figure: 'deadline to verdict in the API, one instance, median',
    max: 250,
    reason: 'the sweeper looks every 50 ms and the API server writes in some 10 ms; a second is promised',
  },
  {
    measurement: 'verdicts',
    figure: 'p99 of 1,000 verdicts, operator to bare client',
    max: 1.5,
    reason: 'the API server is to be the limit, not the loop',
  },
  {
    measurement: 'writes',
    figure: 'status writes a second, steady fleet',
    max: 4,
    reason: '1,000 instances, each refreshed every five minutes: 3.3 a second',
  },
  {
    measurement: 'writes',
    figure: 'status writes a second, steady fleet, computed',
    max: 4,
    reason: 'what the refresh time of this fleet comes to, since no minute need hold a refresh',
  },
  {
    measurement: 'writes',
    figure: 'status writes a second, virtual half-hour',
    max: 4,
    reason: 'the same, counted over many refreshes',
  },
  {
    measurement: 'writes',
    figure: 'condition changes, steady fleet',
    max: 0,
    reason: 'a fleet that keeps its contract is no news',
  },
  {
    measurement: 'writes',
    figure: 'condition changes, virtual half-hour',
    max: 0,
    reason: 'a fleet that keeps its contract is no news',
  },
  {
    measurement: 'start-up',
    figure: 'npm run dev to the first answer, median',
    max: 1_500,
    reason: 'a person who tries it out is not to wait; npm and Node take most of it',
  },
];

export interface BudgetResult {
  readonly budget: Budget;
  /** Undefined when the measurement did not bring it, which breaks the budget too. */
  readonly value: number | undefined;
  readonly isKept: boolean;
}

/** How the figures of the measurements that ran stand to their budgets. */
export function judge(
  figures: readonly Figure[],
  measurements: readonly string[],
  budgets: readonly Budget[] = BUDGETS,
): readonly BudgetResult[] {
  return budgets
    .filter((budget) => measurements.includes(budget.measurement))
    .map((budget) => {
      const value = figures.find((figure) => figure.name === budget.figure)?.value;
      // Not a number is not within a budget either.
      return { budget, value, isKept: value !== undefined && value <= budget.max };
    });
}
