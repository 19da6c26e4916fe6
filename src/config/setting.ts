/** One setting: how its text is read, what it is when nobody says, and what it means. */
export interface Setting<Value> {
  readonly defaultValue: Value;
  /** What may be written, for the documentation: `0 to 65535`. */
  readonly allowed: string;
  readonly description: string;
  /** The value, or undefined if the text is not allowed. */
  read(text: string): Value | undefined;
}

export function integer(options: {
  readonly defaultValue: number;
  readonly min: number;
  readonly max: number;
  readonly description: string;
}): Setting<number> {
  const { defaultValue, min, max, description } = options;
  return {
    defaultValue,
    description,
    allowed: `${min} to ${max}`,
    read(text) {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

export function choice<const Choice extends string>(options: {
  readonly defaultValue: Choice;
  readonly choices: readonly Choice[];
  readonly description: string;
}): Setting<Choice> {
  const { defaultValue, choices, description } = options;
  return {
    defaultValue,
    description,
    allowed: choices.join(', '),
    read: (text) => choices.find((candidate) => candidate === text),
  };
}

export function flag(options: { readonly defaultValue: boolean; readonly description: string }): Setting<boolean> {
  return {
    ...options,
    allowed: 'true, false',
    read(text) {
      if (text === 'true') return true;
      return text === 'false' ? false : undefined;
    },
  };
}

export function text(options: {
  readonly defaultValue: string;
  readonly isAllowed: (value: string) => boolean;
  readonly allowed: string;
  readonly description: string;
}): Setting<string> {
  const { isAllowed, ...rest } = options;
  return { ...rest, read: (value) => (isAllowed(value) ? value : undefined) };
}
