import { systemClock } from '../../../src/clock.ts';
import { ApiClient, type ApiRequest, type ApiResult } from '../../../src/kubernetes/api-client.ts';
import type { ApiFailure } from '../../../src/kubernetes/api-error.ts';
import { loadCredentials } from '../../../src/kubernetes/credentials.ts';

/** Decides what a call comes to instead of being made; undefined makes it. */
export type Fault = (request: ApiRequest) => ApiFailure | undefined;

/** A client of a real API server, some of whose calls fail as told. */
export class FaultyClient extends ApiClient {
  fault: Fault = () => undefined;
  /** Objects on a page of a list, whatever the caller asks for. */
  pageSize: number | undefined;

  static async connect(kubeconfig: string): Promise<FaultyClient> {
    const credentials = await loadCredentials({ clock: systemClock, environment: { KUBECONFIG: kubeconfig } });
    return new FaultyClient({ credentials, clock: systemClock, version: 'test' });
  }

  override async request(request: ApiRequest): Promise<ApiResult> {
    const failure = this.fault(request);
    if (failure !== undefined) return failure;
    const { query } = request;
    if (this.pageSize === undefined || query?.['limit'] === undefined) return super.request(request);
    return super.request({ ...request, query: { ...query, limit: String(this.pageSize) } });
  }
}
