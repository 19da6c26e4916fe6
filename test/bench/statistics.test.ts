import { describe, expect, test } from 'vitest';
import { median, percentile } from '../../bench/support/statistics.ts';

describe('median', () => {
  test('it is the middle one, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  test('of an even number it lies between the two middle ones', () => {
    expect(median([10, 1, 2, 4])).toBe(3);
  });

  test('numbers are compared as numbers', () => {
    expect(median([10, 9, 100])).toBe(10);
  });

  test('the values are left as they were', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test('no values have none', () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  test('so many percent of the values do not exceed it', () => {
    expect(percentile(hundred, 50)).toBe(50);
    expect(percentile(hundred, 99)).toBe(99);
  });

  test('100 is the greatest value', () => {
    expect(percentile(hundred, 100)).toBe(100);
  });

  test('it is always one of the values', () => {
    expect(percentile([1, 10], 51)).toBe(10);
    expect(percentile([7], 1)).toBe(7);
  });

  test('typed arrays do as well, and are left as they were', () => {
    const values = Float64Array.of(3, 1, 2);
    expect(percentile(values, 50)).toBe(2);
    expect([...values]).toEqual([3, 1, 2]);
  });

  test('no values have none, and none lies outside 0 to 100', () => {
    expect(() => percentile([], 50)).toThrow(RangeError);
    expect(() => percentile([1], 0)).toThrow(RangeError);
    expect(() => percentile([1], 101)).toThrow(RangeError);
  });
});
