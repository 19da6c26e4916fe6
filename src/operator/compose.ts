type Listener = (...facts: readonly unknown[]) => void;

/** An observer, each of whose methods tells all of several observers that have it, in their order. */
export function tellAll<Observer extends object>(first: Observer, ...others: readonly Partial<Observer>[]): Observer {
  const all: readonly Partial<Observer>[] = [first, ...others];
  const merged: Record<string, Listener> = {};
  for (const name of Object.keys(first)) {
    const listeners = all.flatMap((observer) => {
      const method: unknown = Reflect.get(observer, name);
      return typeof method === 'function' ? [method as Listener] : [];
    });
    merged[name] = (...facts) => {
      for (const tell of listeners) tell(...facts);
    };
  }
  return merged as Observer;
}
