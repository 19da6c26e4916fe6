import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { helpText, readConfig } from '../../src/config/config.ts';
import { environmentName, flagName, SETTINGS, type Config, type SettingName } from '../../src/config/settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const NAMES = Object.keys(SETTINGS) as SettingName[];

function config(args: readonly string[] = [], environment: Environment = {}, defaults: Partial<Config> = {}): Config {
  const result = readConfig(args, environment, defaults);
  if (result.kind === 'mistakes') throw new Error(result.mistakes.join('\n'));
  return result.config;
}

function mistakes(args: readonly string[], environment: Environment = {}): readonly string[] {
  const result = readConfig(args, environment);
  return result.kind === 'mistakes' ? result.mistakes : [];
}

describe('the value of a setting', () => {
  test('is its default when nobody says anything', () => {
    expect(config()).toEqual(Object.fromEntries(NAMES.map((name) => [name, SETTINGS[name].defaultValue])));
  });

  test.each([
    { title: 'a flag and its value', args: ['--heartbeat-port', '1234'] },
    { title: 'a flag with an equals sign', args: ['--heartbeat-port=1234'] },
    { title: 'the last of two flags', args: ['--heartbeat-port=1', '--heartbeat-port', '1234'] },
    { title: 'a variable', environment: { HBO_HEARTBEAT_PORT: '1234' } },
    {
      title: 'a flag that beats a variable',
      args: ['--heartbeat-port=1234'],
      environment: { HBO_HEARTBEAT_PORT: '5' },
    },
    { title: 'what the program says instead of the default', defaults: { heartbeatPort: 1234 } },
    {
      title: 'a variable that beats the program',
      environment: { HBO_HEARTBEAT_PORT: '1234' },
      defaults: { heartbeatPort: 5 },
    },
  ])('is taken from $title', ({ args = [], environment = {}, defaults = {} }) => {
    expect(config(args, environment, defaults).heartbeatPort).toBe(1234);
  });

  test('may hold an equals sign, and may be empty', () => {
    expect(mistakes(['--log-level=a=b'])).toEqual([expect.stringContaining('"a=b"')]);
    expect(config(['--namespace='], { HBO_NAMESPACE: 'other' }).namespace).toBe('');
  });

  test('of one flag leaves all others at their defaults', () => {
    expect(config(['--success-body', 'empty'])).toEqual({ ...config(), successBody: 'empty' });
  });

  test('of a flag comes through whole for every setting there is, and as text in its variable alike', () => {
    for (const name of NAMES) {
      const value = SETTINGS[name].defaultValue;
      expect(config([`${flagName(name)}=${value}`])[name]).toBe(value);
      expect(config([], { [environmentName(name)]: String(value) })[name]).toBe(value);
    }
  });

  test('of a variable that is not set is the default', () => {
    expect(config([], { HBO_HEARTBEAT_PORT: undefined }).heartbeatPort).toBe(30_100);
  });

  test('cannot be changed afterwards', () => {
    const frozen = config() as { heartbeatPort: number };

    expect(Object.isFrozen(frozen)).toBe(true);
    expect(() => {
      frozen.heartbeatPort = 1;
    }).toThrow(TypeError);
  });
});

describe('a variable of others', () => {
  test.each(['PATH', 'HBO', 'HBOX_HEARTBEAT_PORT', 'HEARTBEAT_OPERATOR_PORT', 'hbo_heartbeat_port', 'heartbeatPort'])(
    'is left alone: %s',
    (variable) => {
      expect(config([], { [variable]: 'tcp://10.0.0.1:80' })).toEqual(config());
    },
  );
});

describe('a mistake', () => {
  test.each([
    { args: ['--heartbeat-port', '65536'], mistake: '--heartbeat-port is "65536"; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', '-1'], mistake: '--heartbeat-port is "-1"; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', ''], mistake: '--heartbeat-port is ""; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', '80a'], mistake: '--heartbeat-port is "80a"; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', ' 80'], mistake: '--heartbeat-port is " 80"; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', '8e1'], mistake: '--heartbeat-port is "8e1"; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', '0x50'], mistake: '--heartbeat-port is "0x50"; allowed: 0 to 65535' },
    { args: ['--heartbeat-port', '80.0'], mistake: '--heartbeat-port is "80.0"; allowed: 0 to 65535' },
    { args: ['--default-interval-seconds=0'], mistake: '--default-interval-seconds is "0"; allowed: 1 to 86400' },
    { args: ['--workers', '129'], mistake: '--workers is "129"; allowed: 1 to 128' },
    { args: ['--success-body', 'Empty'], mistake: '--success-body is "Empty"; allowed: auto, documented, empty' },
    { args: ['--unknown-instances='], mistake: '--unknown-instances is ""; allowed: auto, adopt, reject' },
    { args: ['--require-domain-header', 'yes'], mistake: '--require-domain-header is "yes"; allowed: true, false' },
    { args: ['--namespace', 'Shop'], mistake: '--namespace is "Shop"; allowed: a namespace' },
    { args: ['--namespace', '-a'], mistake: '--namespace is "-a"; allowed: a namespace' },
    { args: ['--namespace', 'a'.repeat(64)], mistake: `--namespace is "${'a'.repeat(64)}"; allowed: a namespace` },
    { args: ['--workers'], mistake: '--workers needs a value' },
    { args: ['--worker', '3'], mistake: '--worker is no setting; --help lists them' },
    { args: ['--workers '], mistake: '--workers  is no setting; --help lists them' },
    { args: ['workers=3'], mistake: 'workers is no setting; --help lists them' },
    { args: ['-w'], mistake: '-w is no setting; --help lists them' },
    { args: [''], mistake: ' is no setting; --help lists them' },
  ])('is told in words that name the flag and what is allowed: $args', ({ args, mistake }) => {
    expect(mistakes(args)).toContain(mistake);
  });

  test.each([
    ['HBO_WORKERS', '0', 'HBO_WORKERS is "0"; allowed: 1 to 128'],
    ['HBO_LOG_LEVEL', 'loud', 'HBO_LOG_LEVEL is "loud"; allowed: debug, info, warn, error'],
    ['HBO_WORKER', '3', 'HBO_WORKER is no setting; docs/settings.md lists them'],
    ['HBO_', '3', 'HBO_ is no setting; docs/settings.md lists them'],
    ['HBO_workers', '3', 'HBO_workers is no setting; docs/settings.md lists them'],
  ])('in a variable is told by its name: %s=%s', (variable, text, mistake) => {
    expect(mistakes([], { [variable]: text })).toEqual([mistake]);
  });

  test('does not hide another: all are told at once', () => {
    const told = mistakes(['--workers=0', '--nonsense=1', '--log-format=xml'], {
      HBO_HEARTBEAT_PORT: 'http',
      HBO_NONSENSE: '1',
    });

    expect([...told].sort()).toEqual([
      '--log-format is "xml"; allowed: auto, json, pretty',
      '--nonsense is no setting; --help lists them',
      '--workers is "0"; allowed: 1 to 128',
      'HBO_HEARTBEAT_PORT is "http"; allowed: 0 to 65535',
      'HBO_NONSENSE is no setting; docs/settings.md lists them',
    ]);
  });

  test('in a variable that a flag beats is no mistake', () => {
    expect(config(['--workers=3'], { HBO_WORKERS: 'many' }).workers).toBe(3);
  });

  test('never holds a long text', () => {
    const long = 'x'.repeat(10_000);

    for (const mistake of mistakes([`--workers=${long}`, `--${long}=1`], { HBO_LOG_LEVEL: long })) {
      expect(mistake.length).toBeLessThan(200);
    }
  });

  test('stays one line when the text has several', () => {
    for (const mistake of mistakes(['--workers=1\n2', '--a\nb=1'], { HBO_LOG_LEVEL: 'a\nb', 'HBO_X\nY': '1' })) {
      expect(mistake).not.toContain('\n');
    }
  });
});

describe('two settings that contradict each other', () => {
  test.each([
    [['--request-timeout-seconds=5'], 5, 5],
    [['--headers-timeout-seconds=10'], 10, 10],
    [['--request-timeout-seconds=7', '--headers-timeout-seconds=30'], 7, 30],
  ])('are both named: %s', (args, request, headers) => {
    expect(mistakes(args)).toEqual([
      `--request-timeout-seconds is ${request}; it must be greater than --headers-timeout-seconds, which is ${headers}`,
    ]);
  });

  test('are both named when draining would take longer than the stop that it is a part of', () => {
    const told = mistakes(['--drain-seconds=30', '--shutdown-seconds=20']);

    expect(told).toEqual(['--shutdown-seconds is 20; it must be greater than --drain-seconds, which is 30']);
  });

  test('are told beside other mistakes', () => {
    expect(mistakes(['--request-timeout-seconds=5', '--workers=0'])).toHaveLength(2);
  });
});

describe('an address', () => {
  test.each(['::', '::1', '0.0.0.0', '127.0.0.1', 'fe80::1', '::ffff:10.0.0.1', '2001:db8:0:0:0:0:0:1'])(
    'may be %s',
    (address) => {
      expect(config([`--heartbeat-address=${address}`]).heartbeatAddress).toBe(address);
    },
  );

  test.each(['', 'localhost', '10.0.0.1:80', '10.0.0', '256.0.0.1', 'face', ':::', '1.2.3.4.5', '...'])(
    'may not be %s',
    (address) => {
      expect(mistakes([`--heartbeat-address=${address}`])).toEqual([
        `--heartbeat-address is "${address}"; allowed: ${SETTINGS.heartbeatAddress.allowed}`,
      ]);
    },
  );
});

describe('the names of a setting', () => {
  test('follow from one another', () => {
    expect([flagName('requireDomainHeader'), environmentName('requireDomainHeader')]).toEqual([
      '--require-domain-header',
      'HBO_REQUIRE_DOMAIN_HEADER',
    ]);
  });

  test('are different for all of them', () => {
    expect(new Set(NAMES.map(flagName)).size).toBe(NAMES.length);
    expect(new Set(NAMES.map(environmentName)).size).toBe(NAMES.length);
  });
});

describe('--help', () => {
  test.each(NAMES)('lists %s with its flag, variable, meaning, what is allowed and its default', (name) => {
    const { description, allowed, defaultValue } = SETTINGS[name];

    expect(helpText()).toContain(
      `  ${flagName(name)} (${environmentName(name)})\n` +
        `      ${description}\n` +
        `      Allowed: ${allowed}. Default: ${JSON.stringify(defaultValue)}.\n`,
    );
  });

  test('names the three calls that print and end', () => {
    expect(helpText()).toContain('[--help | --version | --print-config]');
  });
});

test('every default is allowed', () => {
  for (const name of NAMES) {
    expect([name, SETTINGS[name].read(String(SETTINGS[name].defaultValue))]).toEqual([
      name,
      SETTINGS[name].defaultValue,
    ]);
  }
});

test('whatever the flags and variables are, they are read or refused in words, and nothing throws', () => {
  const text = fc.string({ unit: 'binary', maxLength: 20 });
  const flag = fc.oneof(text, fc.constantFrom(...NAMES.map(flagName), '__proto__', '--__proto__', 'constructor'));
  const variable = fc.oneof(
    text.map((suffix) => `HBO_${suffix}`),
    fc.constantFrom(...NAMES.map(environmentName)),
  );

  fc.assert(
    fc.property(fc.array(fc.oneof(flag, text)), fc.dictionary(variable, text), (args, environment) => {
      const result = readConfig(args, environment);
      const names = result.kind === 'config' ? Object.keys(result.config) : NAMES;
      expect([...names].sort()).toEqual([...NAMES].sort());
      expect(result.kind === 'config' || result.mistakes.length > 0).toBe(true);
    }),
  );
});

test('a number is read exactly when it is whole and in its range', () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.double(), fc.nat(70_000)), (value) => {
      const isRight = Number.isInteger(value) && value >= 0 && value <= 65_535 && !Object.is(value, -0);
      expect(SETTINGS.heartbeatPort.read(String(value)) === value).toBe(isRight || Object.is(value, -0));
    }),
  );
});
