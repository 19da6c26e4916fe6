import type { ReflectorObserver } from '../../../src/kubernetes/reflector-observer.ts';

/** Keeps what a reflector went through, as "what: how". */
export class RecordingObserver implements ReflectorObserver {
  readonly steps: string[] = [];
  readonly messages: string[] = [];
  readonly undecodableErrors: unknown[] = [];
  readonly listenerErrors: unknown[] = [];

  listed(end: string): void {
    this.steps.push(`list: ${end}`);
  }

  watched(end: string): void {
    this.steps.push(`watch: ${end}`);
  }

  restarted(reason: string): void {
    this.steps.push(`restart: ${reason}`);
  }

  heard(): void {
    // Every chunk of bytes: nothing to assert.
  }

  undecodable(error: unknown): void {
    this.undecodableErrors.push(error);
  }

  listenerFailed(error: unknown): void {
    this.listenerErrors.push(error);
  }

  failed(_kind: string, message: string): void {
    this.messages.push(message);
  }
}
