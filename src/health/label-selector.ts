import type { LabelExpression, LabelSelector } from './observed-policy.ts';

type Labels = Readonly<Record<string, string>>;

/** Whether a selector selects an object with these labels; Kubernetes' rules for `metav1.LabelSelector`. */
export function selects(selector: LabelSelector, labels: Labels): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels)) {
    if (labels[key] !== value) return false;
  }
  return selector.matchExpressions.every((expression) => holds(expression, labels));
}

/** What is wrong with a selector, or undefined. A wrong one selects nothing. */
export function selectorProblem(selector: LabelSelector): string | undefined {
  for (const { key, operator, values } of selector.matchExpressions) {
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) return `${operator} of the label ${key} needs values`;
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) return `${operator} of the label ${key} takes no values`;
        break;
      default:
        return `the operator of the label ${key} is ${operator}; allowed are In, NotIn, Exists, DoesNotExist`;
    }
  }
  return undefined;
}

function holds({ key, operator, values }: LabelExpression, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      // An object without the label is not in the list either.
      return values.length > 0 && (value === undefined || !values.includes(value));
    case 'Exists':
      return value !== undefined && values.length === 0;
    case 'DoesNotExist':
      return value === undefined && values.length === 0;
    default:
      return false;
  }
}
