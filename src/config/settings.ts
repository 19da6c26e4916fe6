import { isIP } from 'node:net';
import { parseTrustedProxies } from '../heartbeat-api/trusted-proxies.ts';
import { DEFAULT_TIMING } from '../liveness/time-to-live.ts';
import { choice, flag, integer, text, type Setting } from './setting.ts';

const ADDRESS = {
  isAllowed: (value: string): boolean => isIP(value) !== 0,
  allowed: 'an IP address; `::` is every address, IPv4 and IPv6',
} as const;

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Every setting there is. The flag, the environment variable and docs/settings.md follow from its name. */
export const SETTINGS = {
  heartbeatAddress: text({
    ...ADDRESS,
    defaultValue: '::',
    description: 'The address on which heartbeats are received.',
  }),
  heartbeatPort: integer({
    defaultValue: 30_100,
    min: 0,
    max: 65_535,
    description: 'The port on which heartbeats are received; SDKs expect 30100. 0 takes a free one.',
  }),
  managementAddress: text({
    ...ADDRESS,
    defaultValue: '::',
    description: 'The address of `/livez`, `/readyz`, `/metrics` and `/instances`.',
  }),
  managementPort: integer({
    defaultValue: 8_080,
    min: 0,
    max: 65_535,
    description: 'The port of `/livez`, `/readyz`, `/metrics` and `/instances`. 0 takes a free one.',
  }),
  namespace: text({
    defaultValue: '',
    isAllowed: (value) => value === '' || NAMESPACE.test(value),
    allowed: 'a namespace',
    description:
      'Where objects of instances that are bound to no Pod are created. Empty: the namespace the operator runs in, or that of the current context.',
  }),
  podNamespaces: text({
    defaultValue: '',
    isAllowed: (value) => value === '' || value.split(',').every((name) => NAMESPACE.test(name)),
    allowed: 'namespaces, separated by commas',
    description: 'Whose Pods are watched. Empty: those of all namespaces.',
  }),
  podSelector: text({
    defaultValue: '',
    isAllowed: (value) => value.length <= 1_024 && !/[\p{Cc}]/u.test(value),
    allowed: 'a label selector as kubectl takes it, such as `team=shop,tier!=batch`',
    description:
      'Which Pods are watched. Empty: all. Those that are not watched are never found to be the Pod of an instance.',
  }),
  podCacheStaleSeconds: integer({
    defaultValue: 10,
    min: 1,
    max: 3_600,
    description:
      'How long the watches of Pods, nodes and policies may be broken before nothing is written to Pods any more; they keep their last value.',
  }),
  senderAuth: choice({
    defaultValue: 'optional',
    choices: ['none', 'optional', 'required'],
    description:
      'Whether senders prove which Pod they are by a service-account token for the audience `heartbeat-operator`. `none` ignores tokens; `optional` takes a good one as proof and goes by the address otherwise; `required` answers 401 without one.',
  }),
  trustedProxies: text({
    defaultValue: '',
    isAllowed: (value) => parseTrustedProxies(value).kind === 'proxies',
    allowed: 'CIDRs, separated by commas',
    description:
      'Proxies, meshes and load balancers whose `X-Forwarded-For` tells who the sender is. What comes from one of them without that header proves nothing.',
  }),
  withdrawalsPerSecond: integer({
    defaultValue: 10,
    min: 1,
    max: 1_000,
    description:
      'How many Pods may be taken out of service a second, all together. Putting them back is never slowed down.',
  }),
  stormNodePercent: integer({
    defaultValue: 50,
    min: 1,
    max: 100,
    description:
      'The share of the Pods on one node that must fall silent together, five at least, to be taken for a fault of the node.',
  }),
  stormAllPercent: integer({
    defaultValue: 20,
    min: 1,
    max: 100,
    description:
      'The share of all Pods that must fall silent together, twenty at least, to be taken for a fault of the cluster or of ours.',
  }),
  unknownInstances: choice({
    defaultValue: 'auto',
    choices: ['auto', 'adopt', 'reject'],
    description:
      'What the first heartbeat of an unknown instance does. `adopt` creates its object; `reject` answers 400017, which makes SDKs register again; `auto` rejects only instances of services that were registered through the API.',
  }),
  successBody: choice({
    defaultValue: 'auto',
    choices: ['auto', 'documented', 'empty'],
    description:
      'The body of a 200. `documented` is `Success`; `empty` is none; `auto` is `Success` but for clients that are known to leak a connection on any body.',
  }),
  requireDomainHeader: flag({
    defaultValue: true,
    description: 'Whether a heartbeat without `x-domain-name` is refused with 400001. If not, its domain is `default`.',
  }),
  defaultIntervalSeconds: integer({
    defaultValue: DEFAULT_TIMING.intervalSeconds,
    min: 1,
    max: 86_400,
    description: 'The heartbeat interval of an instance for which nobody says otherwise.',
  }),
  defaultTimes: integer({
    defaultValue: DEFAULT_TIMING.times,
    min: 0,
    max: 1_000,
    description: 'How many heartbeats in a row such an instance may miss. The time to live is interval × (times + 1).',
  }),
  newInstancesPerSecond: integer({
    defaultValue: 100,
    min: 1,
    max: 10_000,
    description: 'How many new instances of unproved senders may appear a second, once the burst is used up.',
  }),
  newInstancesBurst: integer({
    defaultValue: 2_000,
    min: 1,
    max: 1_000_000,
    description: 'How many new instances of unproved senders may appear at once.',
  }),
  instancesMax: integer({
    defaultValue: 20_000,
    min: 1,
    max: 1_000_000,
    description:
      'How many instances there may be before new ones of unproved senders get 503. Known ones are never refused.',
  }),
  retentionSeconds: integer({
    defaultValue: 3_600,
    min: 60,
    max: 31_536_000,
    description:
      'How long the object of an instance that stays silent is kept, if the operator made it and no person changed it.',
  }),
  statusWritesPerSecond: integer({
    defaultValue: 10,
    min: 1,
    max: 1_000,
    description:
      'The budget for refreshing `lastHeartbeatTime`, which happens every five minutes or, in a large fleet, as often as this allows. Changes of a condition do not wait for it.',
  }),
  workers: integer({
    defaultValue: 16,
    min: 1,
    max: 128,
    description: 'How many instances are reconciled, and so written, at once.',
  }),
  keepAliveSeconds: integer({
    defaultValue: 120,
    min: 1,
    max: 3_600,
    description: 'How long an idle connection is kept: longer than the usual heartbeat interval, so that it is reused.',
  }),
  headersTimeoutSeconds: integer({
    defaultValue: 5,
    min: 1,
    max: 300,
    description: 'How long a sender may take to send the head of a request.',
  }),
  requestTimeoutSeconds: integer({
    defaultValue: 10,
    min: 2,
    max: 600,
    description: 'How long a sender may take to send a whole request; longer than for its head.',
  }),
  connectionsMax: integer({
    defaultValue: 20_000,
    min: 10,
    max: 1_000_000,
    description: 'Connections on the heartbeat port above which new ones are closed. An idle one takes about 13 KiB.',
  }),
  drainSeconds: integer({
    defaultValue: 5,
    min: 0,
    max: 300,
    description:
      'How long heartbeats are still received after a signal to stop, while `/readyz` fails and each reply asks to connect anew: as long as it takes until no new connection is sent here.',
  }),
  shutdownSeconds: integer({
    defaultValue: 20,
    min: 1,
    max: 600,
    description: 'How long an orderly stop may take, `drainSeconds` included, before the process ends all the same.',
  }),
  logLevel: choice({
    defaultValue: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    description: 'The least level that is logged.',
  }),
  logFormat: choice({
    defaultValue: 'auto',
    choices: ['auto', 'json', 'pretty'],
    description: '`json` is one object a line; `pretty` is for people; `auto` is `pretty` on a terminal.',
  }),
} as const satisfies Record<string, Setting<boolean | number | string>>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<Candidate> = Candidate extends Setting<infer Value> ? Value : never;

/** Every setting's value, validated. */
export type Config = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> };

/** A prefix of its own: Kubernetes puts variables that begin with the name of every Service into every container. */
const ENVIRONMENT_PREFIX = 'HBO_';

export function flagName(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function environmentName(name: string): string {
  return ENVIRONMENT_PREFIX + name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

export function isOurVariable(name: string): boolean {
  return name.startsWith(ENVIRONMENT_PREFIX);
}
