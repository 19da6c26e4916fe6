import { describe, expect, test } from 'vitest';
import { environmentName, flagName, SETTINGS } from '../../src/config/settings.ts';
import { Reason } from '../../src/health/reason.ts';
import { V4_ERRORS } from '../../src/heartbeat-api/v4-refusal.ts';
import { registerGauges } from '../../src/telemetry/gauges.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { found, page } from './pages.ts';

describe('docs/metrics.md', () => {
  test('has a row with the type and the labels of each metric, and no other row', () => {
    const documented = page('docs/metrics.md')
      .text.split('\n')
      .filter((line) => /^\| `[a-z_]+` \|/.test(line))
      .map((line) => {
        const [, name = '', type = '', labels = ''] = line.split('|').map((cell) => cell.replaceAll('`', '').trim());
        return `${name} ${type} (${labels})`;
      });
    expect(documented.toSorted()).toEqual(ownMetrics().toSorted());
  });

  test('queries only metrics that exist', () => {
    const queries = found(page('docs/metrics.md').text, /```promql\n([^`]*)```/g).join('\n');
    const queried = found(queries, /\b((?:heartbeat_operator|controller_runtime|workqueue|rest_client)_[a-z_]+)/g);
    const names = new Set(ownMetrics().map((line) => line.split(' ')[0]));
    expect(queried.map((name) => name.replace(/_bucket$/, '')).filter((name) => !names.has(name))).toEqual([]);
    expect(queried).not.toEqual([]);
  });
});

describe('docs/settings.md', () => {
  const { text } = page('docs/settings.md');

  test('has a row for each setting, and no other row', () => {
    const names = Object.keys(SETTINGS);
    expect(found(text, /^\| `(--[a-z-]+)`<br>/gm)).toEqual(names.map(flagName).toSorted());
    expect(found(text, /<br>`([A-Z_]+)`/g)).toEqual(names.map(environmentName).toSorted());
  });
});

describe('docs/conditions.md', () => {
  test('has a row for each reason, and no other row', () => {
    const { text } = page('docs/conditions.md');
    const [, section = ''] = /## Reasons\n([\s\S]*?)\n## /.exec(text) ?? [];
    expect(found(section, /^\| `([A-Za-z]+)` \|/gm)).toEqual(Object.values(Reason).toSorted());
  });
});

describe('docs/protocol.md', () => {
  test('has a row with status, code and message of each error, and no other row', () => {
    const documented = found(page('docs/protocol.md').text, /^(\| \d{3} \| \d{6} \| [^|]+ \|)/gm);
    const served = Object.values(V4_ERRORS).map(({ status, code, message }) => `| ${status} | ${code} | ${message} |`);
    expect(documented).toEqual(served.toSorted());
  });
});

/** Each as `name type (label, label)`, without those that prom-client brings. */
function ownMetrics(): readonly string[] {
  const metrics = new Metrics('0.0.0');
  registerGauges(metrics.registry, {
    instances: () => ({}),
    selfDoubtMs: () => 0,
    controllers: () => [],
    podsHeld: () => ({}),
    storms: () => ({}),
    objects: () => ({}),
    reflectors: () => [],
  });
  return metrics.registry
    .getMetricsAsArray()
    .filter(({ name }) => !/^(process|nodejs)_/.test(name))
    .map((metric) => {
      const { labelNames = [] } = metric as { readonly labelNames?: readonly string[] };
      return `${metric.name} ${String(metric.type)} (${labelNames.join(', ')})`;
    });
}
