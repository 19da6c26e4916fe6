import { describe, expect, test } from 'vitest';
import { type Budget, BUDGETS, judge } from '../../bench/budgets.ts';
import { figure } from '../../bench/measurement.ts';
import { brokenBudgets, figureTable } from '../../bench/report.ts';

const budget: Budget = { measurement: 'speed', figure: 'ratio', max: 1.3, reason: 'we promised' };

function isKept(value: number): boolean | undefined {
  return judge([figure('ratio', value)], ['speed'], [budget])[0]?.isKept;
}

describe('judging figures by budgets', () => {
  test('a figure may be as much as the budget, and no more', () => {
    expect(isKept(1.3)).toBe(true);
    expect(isKept(1.300_001)).toBe(false);
  });

  test('what is not a number is not within a budget', () => {
    expect(isKept(Number.NaN)).toBe(false);
  });

  test('a budget whose figure is missing is broken', () => {
    const results = judge([figure('another', 1)], ['speed'], [budget]);

    expect(results).toEqual([{ budget, value: undefined, isKept: false }]);
  });

  test('budgets of measurements that did not run are left out', () => {
    expect(judge([], ['size'], [budget])).toEqual([]);
  });

  test('each figure has one budget', () => {
    const names = BUDGETS.map((each) => each.figure);

    expect(new Set(names).size).toBe(names.length);
  });
});

describe('the report', () => {
  test('a broken budget is one line with the figure, the limit and the reason', () => {
    const results = judge([figure('ratio', 1.5)], ['speed'], [budget]);

    expect(brokenBudgets(results)).toEqual(['budget broken: ratio is 1.5, at most 1.3 is allowed: we promised']);
  });

  test('a missing figure is told as such', () => {
    const results = judge([], ['speed'], [budget]);

    expect(brokenBudgets(results)).toEqual([
      'budget broken: ratio was not measured, at most 1.3 is allowed: we promised',
    ]);
  });

  test('budgets that are kept are not complained about', () => {
    expect(brokenBudgets(judge([figure('ratio', 1.1)], ['speed'], [budget]))).toEqual([]);
  });

  test('the table holds every figure, with its budget if it has one', () => {
    const figures = [figure('ratio', 1.234_56), figure('rate', 12_345.6, '/s')];
    const lines = figureTable(figures, judge(figures, ['speed'], [budget])).split('\n');

    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      ['figure', 'measured', 'budget'],
      ['ratio', '1.23', '≤ 1.3', 'kept'],
      ['rate', '12,346 /s'],
    ]);
  });
});
