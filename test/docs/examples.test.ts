import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments, parseDocument } from 'yaml';
import { GATE_LABEL, POD_CONDITION_TYPE } from '../../src/health/observed-pod.ts';
import { TOKEN_AUDIENCE } from '../../src/liveness/token-verdict.ts';
import { found, page } from './pages.ts';

interface PodSpec {
  readonly containers: readonly { readonly volumeMounts?: readonly { readonly mountPath: string }[] }[];
  readonly volumes?: readonly {
    readonly projected: { readonly sources: readonly { readonly serviceAccountToken?: TokenSource }[] };
  }[];
}

interface TokenSource {
  readonly path: string;
  readonly audience: string;
}

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: PodSpec;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

/** What of a policy is known by its schema. */
const POLICY_FIELDS = fieldsOfPolicies();

const example = parseAllDocuments(readFileSync('examples/web.yaml', 'utf8')).map(
  (document) => document.toJS() as Manifest,
);

function only(kind: string): Manifest {
  const [manifest, ...others] = example.filter((candidate) => candidate.kind === kind);
  if (manifest === undefined || others.length > 0) throw new Error(`examples/web.yaml needs one ${kind}`);
  return manifest;
}

function templateOf(manifest: Manifest): PodTemplate {
  return (manifest.spec as { readonly template: PodTemplate }).template;
}

function tokenOf({ volumes = [] }: PodSpec): TokenSource | undefined {
  return volumes.flatMap(({ projected }) => projected.sources).find((source) => source.serviceAccountToken)
    ?.serviceAccountToken;
}

/** The YAML blocks of a page that are whole objects. */
function manifestsOf(path: string): readonly Manifest[] {
  return found(page(path).text, /```yaml\n([\s\S]*?)\n```/g)
    .map((text) => parseDocument(text).toJS() as Partial<Manifest>)
    .filter((object): object is Manifest => object.kind !== undefined);
}

function fieldsOfPolicies(): ReadonlySet<string> {
  const definition = parseDocument(
    readFileSync('deploy/crds/heartbeat-operator.io_heartbeatpolicies.yaml', 'utf8'),
  ).toJS() as {
    readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[] };
  };
  const spec = definition.spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec'];
  return new Set(Object.keys(spec?.properties ?? {}));
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

describe('examples/web.yaml', () => {
  test('asks for the gate and mounts a token for our audience, where its container reads it', () => {
    const { metadata, spec } = templateOf(only('Deployment'));
    expect(metadata.labels[GATE_LABEL]).toBe('enabled');
    expect(tokenOf(spec)).toMatchObject({ path: 'token', audience: TOKEN_AUDIENCE });
    const [mount] = spec.containers[0]?.volumeMounts ?? [];
    expect(JSON.stringify(spec.containers[0])).toContain(`$(cat ${mount?.mountPath}/token)`);
  });

  test('has a Service and a policy for just the Pods of its Deployment', () => {
    const { labels } = templateOf(only('Deployment')).metadata;
    expect(labels).toMatchObject((only('Service').spec as { readonly selector: object }).selector);
    const { selector } = only('HeartbeatPolicy').spec as { readonly selector: { readonly matchLabels: object } };
    expect(labels).toMatchObject(selector.matchLabels);
  });

  test('names no field of a policy that the resource definition does not know', () => {
    expect(Object.keys(only('HeartbeatPolicy').spec).filter((field) => !POLICY_FIELDS.has(field))).toEqual([]);
  });
});

describe('docs/pods.md', () => {
  test('shows a Pod with the label and a token for our audience', () => {
    const [pod, ...others] = manifestsOf('docs/pods.md') as readonly (Manifest & PodTemplate)[];
    expect(others).toEqual([]);
    expect(pod?.metadata.labels).toEqual({ [GATE_LABEL]: 'enabled' });
    expect(pod && tokenOf(pod.spec)).toMatchObject({ path: 'token', audience: TOKEN_AUDIENCE });
  });

  test('names the gate as it is', () => {
    expect(page('docs/pods.md').text).toContain(`- conditionType: ${POD_CONDITION_TYPE}`);
  });
});

describe('docs/policies.md', () => {
  test('shows every field of a policy in its example, and explains each in a row', () => {
    const [policy] = manifestsOf('docs/policies.md');
    expect(Object.keys(policy?.spec ?? {}).toSorted()).toEqual([...POLICY_FIELDS].toSorted());
    const [, section = ''] = /## Fields\n([\s\S]*?)\n## /.exec(page('docs/policies.md').text) ?? [];
    const explained = found(section, /^\| `([A-Za-z]+)/gm);
    expect(explained).toEqual([...POLICY_FIELDS].toSorted());
  });
});
