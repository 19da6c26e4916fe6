import { environmentName, flagName, isOurVariable, SETTINGS, type Config, type SettingName } from './settings.ts';

export type ConfigResult =
  | { readonly kind: 'config'; readonly config: Config }
  /** What is wrong, one line for each mistake. */
  | { readonly kind: 'mistakes'; readonly mistakes: readonly string[] };

type Defaults = { readonly [Name in SettingName]?: Config[Name] };

const NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/**
 * Reads all settings: a flag beats an environment variable beats a default. All mistakes are told at once.
 *
 * @param args flags, as `--name value` or `--name=value`.
 * @param defaults what holds where neither says anything, instead of the setting's own default.
 */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  defaults: Defaults = {},
): ConfigResult {
  const mistakes: string[] = [];
  const given = new Map<SettingName, { readonly source: string; readonly text: string }>();
  readEnvironment(environment, given, mistakes);
  readFlags(args, given, mistakes);

  const values: Record<string, boolean | number | string> = {};
  for (const name of NAMES) {
    const setting = SETTINGS[name];
    const entry = given.get(name);
    const value = entry === undefined ? (defaults[name] ?? setting.defaultValue) : setting.read(entry.text);
    if (value !== undefined) values[name] = value;
    else mistakes.push(`${entry?.source} is ${JSON.stringify(entry?.text.slice(0, 80))}; allowed: ${setting.allowed}`);
  }
  const config = Object.freeze(values) as Config;
  mistakes.push(...contradictions(config));
  return mistakes.length === 0 ? { kind: 'config', config } : { kind: 'mistakes', mistakes };
}

/** Pairs of which the first must be greater than the second. */
const GREATER = [
  ['requestTimeoutSeconds', 'headersTimeoutSeconds'],
  ['shutdownSeconds', 'drainSeconds'],
] as const;

/** @param config may lack values that could not be read: these contradict nothing. */
function contradictions(config: Partial<Config>): readonly string[] {
  return GREATER.flatMap(([greater, smaller]) => {
    const [greaterValue, smallerValue] = [config[greater], config[smaller]];
    if (greaterValue === undefined || smallerValue === undefined || greaterValue > smallerValue) return [];
    return [
      `${flagName(greater)} is ${greaterValue}; it must be greater than ${flagName(smaller)}, which is ${smallerValue}`,
    ];
  });
}

/** A name that somebody else chose, fit for a line of its own. */
function oneLine(name: string): string {
  return name.slice(0, 80).replaceAll(/\p{Cc}/gu, '?');
}

type Given = Map<SettingName, { readonly source: string; readonly text: string }>;

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  given: Given,
  mistakes: string[],
): void {
  const names = new Map(NAMES.map((name) => [environmentName(name), name]));
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !isOurVariable(variable)) continue;
    const name = names.get(variable);
    if (name === undefined) mistakes.push(`${oneLine(variable)} is no setting; docs/settings.md lists them`);
    else given.set(name, { source: variable, text });
  }
}

function readFlags(args: readonly string[], given: Given, mistakes: string[]): void {
  const names = new Map<string, SettingName>(NAMES.map((name) => [flagName(name), name]));
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [source = '', ...valueParts] = argument.split('=');
    const name = names.get(source);
    if (name === undefined) {
      mistakes.push(`${oneLine(source)} is no setting; --help lists them`);
      continue;
    }
    const text = valueParts.length > 0 ? valueParts.join('=') : rest.shift();
    if (text === undefined) mistakes.push(`${source} needs a value`);
    else given.set(name, { source, text });
  }
}

/** What `--help` prints. */
export function helpText(): string {
  const lines = NAMES.map((name) => {
    const setting = SETTINGS[name];
    return `  ${flagName(name)} (${environmentName(name)})\n      ${setting.description}\n      Allowed: ${setting.allowed}. Default: ${JSON.stringify(setting.defaultValue)}.`;
  });
  return `heartbeat-operator [--help | --version | --print-config] [settings]
heartbeat-operator release [settings]
    Before an uninstall: ends the injection of gates and opens every gate.

${lines.join('\n')}
`;
}
