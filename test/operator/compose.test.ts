import { describe, expect, it } from 'vitest';
import { tellAll } from '../../src/operator/compose.ts';

interface Observer {
  began(name: string, size: number): void;
  ended(name: string): void;
}

/** An observer that writes down what it hears, under the name of who heard it. */
function hearing(who: string, heard: string[]): Observer {
  return {
    began: (name, size) => heard.push(`${who} hears that ${name} began with ${size}`),
    ended: (name) => heard.push(`${who} hears that ${name} ended`),
  };
}

describe('An observer that tells several', () => {
  it('tells each of them all that there is to tell, in their order', () => {
    const heard: string[] = [];
    const all = tellAll(hearing('the first', heard), hearing('the second', heard), hearing('the third', heard));
    all.began('a storm', 8);
    expect(heard).toEqual([
      'the first hears that a storm began with 8',
      'the second hears that a storm began with 8',
      'the third hears that a storm began with 8',
    ]);
  });

  it('passes over those who do not listen to it', () => {
    const heard: string[] = [];
    const onlyEnds: Partial<Observer> = { ended: (name) => heard.push(`the second hears that ${name} ended`) };
    const all = tellAll(hearing('the first', heard), onlyEnds, {});
    all.began('a storm', 8);
    all.ended('a storm');
    expect(heard).toEqual([
      'the first hears that a storm began with 8',
      'the first hears that a storm ended',
      'the second hears that a storm ended',
    ]);
  });

  it('passes over what is there by name and cannot be told', () => {
    const heard: string[] = [];
    const all = tellAll(hearing('the first', heard), { began: undefined } as unknown as Partial<Observer>);
    all.began('a storm', 8);
    expect(heard).toEqual(['the first hears that a storm began with 8']);
  });

  it('is as good as the one, if there is only one', () => {
    const heard: string[] = [];
    tellAll(hearing('the first', heard)).ended('a storm');
    expect(heard).toEqual(['the first hears that a storm ended']);
  });
});
