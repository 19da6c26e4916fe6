import { type Storm, stormMessage } from './storm.ts';

/** Why a Pod that asks to be withdrawn is not. */
export type Hold =
  | { readonly reason: 'StormHold'; readonly storm: Storm }
  | { readonly reason: 'RateLimited'; readonly limit: WithdrawalLimit }
  | FloorHold;

/** Without the Pod, fewer than `minHealthy` of its workload would serve. */
export interface FloorHold {
  readonly reason: 'MinimumHealthyFloor';
  readonly workload: string;
  readonly minHealthy: number;
}

/** Which bound on withdrawals is used up for the moment. */
export type WithdrawalLimit =
  | { readonly kind: 'workload'; readonly workload: string; readonly perMinute: number }
  | { readonly kind: 'all'; readonly perSecond: number };

/** What keeps the Pod in service, as a sentence for people. */
export function holdMessage(hold: Hold): string {
  switch (hold.reason) {
    case 'StormHold':
      return `Not withdrawn in a storm: ${stormMessage(hold.storm)}`;
    case 'RateLimited':
      return `Not withdrawn yet: ${limitText(hold.limit)}`;
    case 'MinimumHealthyFloor':
      return `Not withdrawn: fewer than ${hold.minHealthy} Pods of ${hold.workload} would be left in service.`;
  }
}

function limitText(limit: WithdrawalLimit): string {
  switch (limit.kind) {
    case 'workload':
      return `no more than ${limit.perMinute} Pods of ${limit.workload} are withdrawn in a minute.`;
    case 'all':
      return `no more than ${limit.perSecond} Pods are withdrawn in a second.`;
  }
}
