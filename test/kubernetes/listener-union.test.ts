import { describe, expect, it } from 'vitest';
import type { ResourceListener } from '../../src/controller/ports.ts';
import { ListenerUnion } from '../../src/kubernetes/listener-union.ts';

interface Item {
  readonly uid: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/** `name@version`, with the uid of the object in between if it is not the first of its name: `a/2@7`. */
function item(text: string): Item {
  const [id = '', resourceVersion = '1'] = text.split('@');
  return { uid: id, name: id.split('/')[0] ?? '', resourceVersion };
}

function textOf({ uid, resourceVersion }: Item): string {
  return `${uid}@${resourceVersion}`;
}

/** Hears the union as a cache does that knows objects by their names. */
class Heard implements ResourceListener<Item> {
  readonly history: string[] = [];
  /** While it is set, the listener has not yet taken in the list. */
  takingIn: Promise<void> | undefined;
  /** It throws at objects of this name. */
  fault: string | undefined;
  readonly #items = new Map<string, string>();

  async replaced(items: readonly Item[]): Promise<void> {
    this.history.push(`replaced ${items.map(textOf).sort().join(' ')}`.trim());
    await this.takingIn;
    this.#items.clear();
    for (const one of items) this.#items.set(one.name, textOf(one));
  }

  changed(one: Item): void {
    if (one.name === this.fault) throw new Error(`no place for ${one.name}`);
    this.history.push(`changed ${textOf(one)}`);
    this.#items.set(one.name, textOf(one));
  }

  removed(one: Item): void {
    this.history.push(`removed ${textOf(one)}`);
    this.#items.delete(one.name);
  }

  get items(): readonly string[] {
    return [...this.#items.values()].sort();
  }
}

function union(partCount: number) {
  const heard = new Heard();
  const turns: number[] = [];
  const turn = (): Promise<void> => {
    turns.push(heard.history.length);
    return Promise.resolve();
  };
  const { parts } = new ListenerUnion<Item>({ listener: heard, partCount, clock: { turn } });
  const part = (index: number) => {
    const listener = parts[index];
    if (listener === undefined) throw new Error(`no part ${index}`);
    return {
      list: (...texts: readonly string[]) => listener.replaced(texts.map(item)),
      changed: (text: string) => listener.changed(item(text)),
      removed: (text: string) => listener.removed(item(text)),
    };
  };
  return { heard, turns, a: part(0), b: part(partCount - 1), partCount: parts.length };
}

describe('The union of several sources', () => {
  it('is heard when the last of them has its first list, and then at once with all there is', async () => {
    const { heard, a, b } = union(2);
    await a.list('a1', 'a2');
    expect(heard.history).toEqual([]);
    await b.list('b1');
    expect(heard.history).toEqual(['replaced a1@1 a2@1 b1@1']);
  });

  it('tells what is so in the end of what changed before all lists were there', async () => {
    const { heard, a, b } = union(2);
    await a.list('gone', 'kept@1', 'old');
    a.changed('kept@2');
    a.changed('new');
    a.removed('gone');
    await a.list('kept@3', 'new');
    await b.list();
    expect(heard.history).toEqual(['replaced kept@3 new@1']);
  });

  it('tells each later change of any source as it is', async () => {
    const { heard, a, b } = union(2);
    await a.list('a1');
    await b.list('b1');
    a.changed('a1@2');
    b.removed('b1@3');
    b.changed('b2@4');
    expect(heard.history.slice(1)).toEqual(['changed a1@2', 'removed b1@3', 'changed b2@4']);
  });

  it('tells of a later list the differences from what that source had, and nothing of the others', async () => {
    const { heard, a, b } = union(2);
    await a.list('same@1', 'other@1', 'gone@1');
    await b.list('b1');
    a.changed('since@2');
    await a.list('same@1', 'other@5', 'since@2', 'new@6');
    expect(heard.history.slice(2)).toEqual(['removed gone@1', 'changed other@5', 'changed new@6']);
    expect(heard.items).toEqual(['b1@1', 'new@6', 'other@5', 'same@1', 'since@2']);
  });

  it('tells of an empty list that all of that source is gone', async () => {
    const { heard, a, b } = union(2);
    await a.list('a1', 'a2');
    await b.list('b1');
    await a.list();
    expect(heard.items).toEqual(['b1@1']);
  });

  it('I16: tells that the former object is gone before it tells of another one with its name', async () => {
    const { heard, a, b } = union(2);
    await a.list('web/1@1');
    await b.list();
    await a.list('web/2@9');
    expect(heard.history.slice(1)).toEqual(['removed web/1@1', 'changed web/2@9']);
    expect(heard.items).toEqual(['web/2@9']);
  });

  it('tells nothing else while the listener takes in the first list, and then all of it in order', async () => {
    const { heard, a, b } = union(2);
    const takenIn = Promise.withResolvers<void>();
    heard.takingIn = takenIn.promise;
    await a.list('a1@1', 'a2@1');
    const introduced = b.list('b1@1');
    a.changed('a1@2');
    a.removed('a2@3');
    a.changed('a3@4');
    a.changed('a3@5');
    expect(heard.history).toEqual(['replaced a1@1 a2@1 b1@1']);
    takenIn.resolve();
    await introduced;
    expect(heard.history.slice(1)).toEqual(['changed a1@2', 'removed a2@3', 'changed a3@4', 'changed a3@5']);
    expect(heard.items).toEqual(['a1@2', 'a3@5', 'b1@1']);
  });

  it('lets a second list of one source wait until the listener has taken in the first', async () => {
    const { heard, a, b } = union(2);
    const takenIn = Promise.withResolvers<void>();
    heard.takingIn = takenIn.promise;
    await a.list('a1@1', 'a2@1');
    const introduced = b.list('b1@1');
    a.changed('a3@4');
    const again = a.list('a1@1', 'a3@4', 'a4@6');
    expect(heard.history).toHaveLength(1);
    takenIn.resolve();
    await introduced;
    await again;
    expect(heard.history.slice(1)).toEqual(['changed a3@4', 'removed a2@1', 'changed a4@6']);
  });

  it('of one source is that source, but for its later lists', async () => {
    const { heard, a } = union(1);
    await a.list('a1@1');
    await a.list('a1@2');
    expect(heard.history).toEqual(['replaced a1@1', 'changed a1@2']);
  });

  it('has as many parts as it was made for', () => {
    expect(union(3).partCount).toBe(3);
  });

  it('does not forget the other objects when the listener throws at one, and says so', async () => {
    const { heard, a, b } = union(2);
    await a.list('a1@1');
    await b.list();
    heard.fault = 'a2';
    await expect(a.list('a2@1', 'a3@1')).rejects.toThrow('the listener threw');
    expect(heard.items).toEqual(['a3@1']);
    expect(() => a.changed('a2@2')).toThrow('no place for a2');
    heard.fault = undefined;
    await a.list('a2@2', 'a3@1');
    a.changed('a2@3');
    expect(heard.items).toEqual(['a2@3', 'a3@1']);
  });

  it('goes on when the listener cannot take in the first list', async () => {
    const { heard, a, b } = union(2);
    heard.takingIn = Promise.reject(new Error('no room'));
    await a.list('a1@1');
    await expect(b.list('b1@1')).rejects.toThrow('the listener threw');
    a.changed('a1@2');
    expect(heard.history.at(-1)).toBe('changed a1@2');
  });

  it('lets heartbeats be answered while it tells of a long list', async () => {
    const { heard, turns, a, b } = union(2);
    await a.list();
    await b.list();
    await a.list(...Array.from({ length: 1_200 }, (_, index) => `a${index}@1`));
    expect(heard.items).toHaveLength(1_200);
    expect(turns).toEqual([501, 1_001]);
  });
});
