import { IMAGE } from './image.ts';

/** The readiness gate by which our operator decides whether a Pod may be Ready. */
export const READINESS_GATE = 'heartbeat-operator.io/Healthy';

/** The audience of the tokens by which workloads show who they are. */
export const TOKEN_AUDIENCE = 'heartbeat-operator';

/** Where a Pod with `token` finds it. */
export const TOKEN_FILE = '/var/run/secrets/heartbeat-operator/token';

export interface DeploymentOptions {
  /** `default` unless told otherwise; must exist. */
  readonly namespace?: string;
  readonly name: string;
  /** 1 unless told otherwise. */
  readonly replicas?: number;
  /** Of the Pods, beside `app: <name>`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Whether the Pods declare our readiness gate. Not unless told otherwise. */
  readonly gate?: boolean;
  /** Of the one container, `main`. The default serves a page on port 8080 and otherwise does nothing. */
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Mounts a token of the Pod's service account for our audience, as `TOKEN_FILE`. Not unless told otherwise. */
  readonly token?: boolean;
  /** Addresses by name, for the Pods' /etc/hosts: there is no DNS. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Merged into the Pod's spec in the end. */
  readonly podSpec?: object;
}

/** A Deployment whose Pods end within a second when they are told to. */
export function deployment({
  namespace = 'default',
  name,
  replicas = 1,
  labels = {},
  annotations = {},
  gate = false,
  command = ['idle'],
  environment = {},
  token = false,
  hosts = {},
  podSpec = {},
}: DeploymentOptions): object {
  const app = { app: name };
  const projection = {
    name: 'heartbeat-operator-token',
    projected: { sources: [{ serviceAccountToken: { path: 'token', audience: TOKEN_AUDIENCE } }] },
  };
  const mount = { name: projection.name, mountPath: '/var/run/secrets/heartbeat-operator', readOnly: true };
  const container = {
    name: 'main',
    image: IMAGE,
    imagePullPolicy: 'Never',
    command,
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ...Object.entries(environment).map(([name, value]) => ({ name, value })),
    ],
    volumeMounts: token ? [mount] : [],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels: app },
    spec: {
      replicas,
      selector: { matchLabels: app },
      template: {
        metadata: { labels: { ...labels, ...app }, annotations },
        spec: {
          terminationGracePeriodSeconds: 1,
          readinessGates: gate ? [{ conditionType: READINESS_GATE }] : [],
          containers: [container],
          volumes: token ? [projection] : [],
          hostAliases: Object.entries(hosts).map(([name, ip]) => ({ ip, hostnames: [name] })),
          ...podSpec,
        },
      },
    },
  };
}

/** A Service for the Pods of the Deployment of the same name. */
export function service({
  namespace = 'default',
  name,
}: {
  readonly namespace?: string;
  readonly name: string;
}): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  };
}

/** A Service without a selector, and the EndpointSlice that gives it one address which is no Pod's. */
export function serviceForAddress({
  namespace,
  name,
  address,
  port,
}: {
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
}): readonly object[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace, name },
      spec: { ports: [{ name: 'http', port, targetPort: port }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { namespace, name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
  ];
}

// Of the objects of Kubernetes, what tests look at.

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime: string | null;
  readonly observedGeneration?: number;
}

export interface Pod {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly generation: number;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly readinessGates?: readonly { readonly conditionType: string }[];
  };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  /** As `containerd://<id>`. */
  readonly containerID?: string;
}

/** The status of a condition of a Pod or a node; undefined when it has none of that type. */
export function conditionStatus(
  object: { readonly status: { readonly conditions?: readonly Condition[] } },
  type: string,
): Condition['status'] | undefined {
  return object.status.conditions?.find((condition) => condition.type === type)?.status;
}

export interface Endpoint {
  readonly address: string;
  readonly ready: boolean;
  /** Undefined when the endpoint is no Pod. */
  readonly pod: string | undefined;
}

export interface EndpointSlice {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly conditions: { readonly ready?: boolean };
    readonly targetRef?: { readonly kind: string; readonly name: string };
  }[];
}

export function endpointsOf(slices: readonly EndpointSlice[]): readonly Endpoint[] {
  return slices
    .flatMap((slice) => slice.endpoints ?? [])
    .map(({ addresses: [address = ''], conditions, targetRef }) => ({
      address,
      ready: conditions.ready ?? true,
      pod: targetRef?.name,
    }));
}
