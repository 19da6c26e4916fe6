import { describe, expect, it, test } from 'vitest';
import { selectorProblem, selects } from '../../src/health/label-selector.ts';
import type { LabelExpression, LabelSelector } from '../../src/health/observed-policy.ts';

type Labels = Readonly<Record<string, string>>;

function labels(matchLabels: Labels, ...matchExpressions: readonly LabelExpression[]): LabelSelector {
  return { matchLabels, matchExpressions };
}

function expression(key: string, operator: string, ...values: readonly string[]): LabelSelector {
  return labels({}, { key, operator, values });
}

const WEB: Labels = { app: 'web', tier: 'front', empty: '' };

describe('A selector selects by the rules of Kubernetes', () => {
  test.each<{ what: string; selector: LabelSelector; isSelected: boolean }>([
    { what: 'an empty one selects everything', selector: labels({}), isSelected: true },
    { what: 'a label that is equal', selector: labels({ app: 'web' }), isSelected: true },
    { what: 'a label with another value', selector: labels({ app: 'cart' }), isSelected: false },
    { what: 'a label that is absent', selector: labels({ zone: 'a' }), isSelected: false },
    { what: 'a label that is there and empty', selector: labels({ empty: '' }), isSelected: true },
    { what: 'an empty value is no absent label', selector: labels({ zone: '' }), isSelected: false },
    { what: 'all labels must match: both do', selector: labels({ app: 'web', tier: 'front' }), isSelected: true },
    { what: 'all labels must match: one does not', selector: labels({ app: 'web', tier: 'back' }), isSelected: false },
    { what: 'In: one of the values', selector: expression('app', 'In', 'cart', 'web'), isSelected: true },
    { what: 'In: none of the values', selector: expression('app', 'In', 'cart'), isSelected: false },
    { what: 'In: the label is absent', selector: expression('zone', 'In', 'a'), isSelected: false },
    { what: 'NotIn: one of the values', selector: expression('app', 'NotIn', 'web'), isSelected: false },
    { what: 'NotIn: none of the values', selector: expression('app', 'NotIn', 'cart'), isSelected: true },
    { what: 'NotIn: an absent label is in no list', selector: expression('zone', 'NotIn', 'a'), isSelected: true },
    { what: 'Exists: the label is there', selector: expression('app', 'Exists'), isSelected: true },
    { what: 'Exists: the label is there and empty', selector: expression('empty', 'Exists'), isSelected: true },
    { what: 'Exists: the label is absent', selector: expression('zone', 'Exists'), isSelected: false },
    { what: 'DoesNotExist: the label is there', selector: expression('app', 'DoesNotExist'), isSelected: false },
    { what: 'DoesNotExist: the label is absent', selector: expression('zone', 'DoesNotExist'), isSelected: true },
    {
      what: 'labels and expressions must both match',
      selector: labels({ app: 'web' }, { key: 'tier', operator: 'NotIn', values: ['front'] }),
      isSelected: false,
    },
    {
      what: 'every expression must match',
      selector: labels(
        {},
        { key: 'app', operator: 'Exists', values: [] },
        { key: 'zone', operator: 'Exists', values: [] },
      ),
      isSelected: false,
    },
  ])('$what', ({ selector, isSelected }) => {
    expect(selectorProblem(selector)).toBeUndefined();
    expect(selects(selector, WEB)).toBe(isSelected);
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'a label that no object has is absent, even if its name is one that every JavaScript object has: %s',
    (key) => {
      expect(selects(expression(key, 'Exists'), {})).toBe(false);
      expect(selects(expression(key, 'DoesNotExist'), {})).toBe(true);
      expect(selects(expression(key, 'NotIn', 'a'), {})).toBe(true);
      expect(selects(labels({ [key]: 'a' }), {})).toBe(false);
    },
  );
});

describe('A selector that is wrong', () => {
  test.each<{ what: string; selector: LabelSelector; problem: string }>([
    { what: 'In without values', selector: expression('app', 'In'), problem: 'In of the label app needs values' },
    {
      what: 'NotIn without values',
      selector: expression('app', 'NotIn'),
      problem: 'NotIn of the label app needs values',
    },
    {
      what: 'Exists with values',
      selector: expression('app', 'Exists', 'web'),
      problem: 'Exists of the label app takes no values',
    },
    {
      what: 'DoesNotExist with values',
      selector: expression('zone', 'DoesNotExist', 'a'),
      problem: 'DoesNotExist of the label zone takes no values',
    },
    {
      what: 'an operator that does not exist',
      selector: expression('app', 'Gt', '3'),
      problem: 'the operator of the label app is Gt; allowed are In, NotIn, Exists, DoesNotExist',
    },
    {
      what: 'operators are told apart by case',
      selector: expression('app', 'in', 'web'),
      problem: 'the operator of the label app is in; allowed are In, NotIn, Exists, DoesNotExist',
    },
  ])('says what is wrong and selects nothing: $what', ({ selector, problem }) => {
    expect(selectorProblem(selector)).toBe(problem);
    expect(selects(selector, WEB)).toBe(false);
    expect(selects(selector, {})).toBe(false);
  });

  it('names the first of its problems', () => {
    const selector = labels({}, { key: 'a', operator: 'Exists', values: [] }, { key: 'b', operator: 'In', values: [] });
    expect(selectorProblem(selector)).toBe('In of the label b needs values');
  });
});
