import type { BudgetResult } from './budgets.ts';
import type { Figure } from './measurement.ts';

/** A table of all figures, with their budgets beside them. */
export function figureTable(figures: readonly Figure[], results: readonly BudgetResult[]): string {
  const rows = figures.map((figure) => {
    const result = results.find(({ budget }) => budget.figure === figure.name);
    const budget = result === undefined ? '' : `≤ ${withUnit(result.budget.max, figure)}`;
    return [figure.name, withUnit(figure.value, figure), budget, result === undefined ? '' : resultText(result)];
  });
  return table([['figure', 'measured', 'budget', ''], ...rows]);
}

/** One line for each budget that is broken. */
export function brokenBudgets(results: readonly BudgetResult[]): readonly string[] {
  return results
    .filter((result) => !result.isKept)
    .map(({ budget, value }) => {
      const measured = value === undefined ? 'was not measured' : `is ${rounded(value)}`;
      return `budget broken: ${budget.figure} ${measured}, at most ${rounded(budget.max)} is allowed: ${budget.reason}`;
    });
}

function resultText({ isKept }: BudgetResult): string {
  return isKept ? 'kept' : 'BROKEN';
}

function withUnit(value: number, figure: Figure): string {
  return `${rounded(value)}${figure.unit === '' ? '' : ` ${figure.unit}`}`;
}

/** Three digits tell all that a measurement knows. */
function rounded(value: number): string {
  const format: Intl.NumberFormatOptions =
    Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return value.toLocaleString('en-US', format);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 || column === 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
