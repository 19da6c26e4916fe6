/** One number that was measured. */
export interface Figure {
  /** Unique over all measurements; budgets name it. */
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
}

export type Unit = '' | 'ms' | 'µs' | 'B' | '/s' | 'writes' | 'changes';

export interface MeasurementOptions {
  /** Fewer rounds: for a look while working, too noisy to decide by. */
  readonly isQuick: boolean;
  /** Tells a person what is going on. */
  readonly report: (line: string) => void;
}

export interface Measurement {
  /** What `--only` takes. */
  readonly name: string;
  readonly title: string;
  run(options: MeasurementOptions): Promise<readonly Figure[]>;
}

export function figure(name: string, value: number, unit: Unit = ''): Figure {
  return { name, value, unit };
}
