import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

/** A line of source that names another module: an import, a re-export, or one that is loaded later. */
const IMPORT = /(?:^|[\s}])(?:from|import)\s*\(?\s*'([^']+)'/g;

/**
 * Which folder may import what. A file at the top of `src` counts as a folder of its own.
 *
 * `npm` is the packages, `node` the modules of Node; ours are named by folder, or by file where only that one may be.
 */
const RULES: Readonly<Record<string, readonly string[]>> = {
  clock: [],
  liveness: [],
  health: ['liveness', 'node:crypto'],
  brakes: ['health'],
  controller: ['liveness', 'health', 'brakes', 'clock'],
  memory: ['liveness', 'health', 'controller/ports'],
  'heartbeat-api': ['liveness', 'npm:fastify', 'node'],
  'management-api': ['npm:fastify'],
  kubernetes: [
    'liveness',
    'health',
    'clock',
    'controller/ports',
    'controller/token-bucket',
    'npm:@kubernetes/client-node',
    'npm:undici',
    'node',
  ],
  telemetry: ['npm', 'node'],
  config: ['liveness/time-to-live', 'heartbeat-api/trusted-proxies', 'node'],
  operator: [
    'liveness',
    'health',
    'brakes',
    'controller',
    'memory',
    'heartbeat-api',
    'management-api',
    'kubernetes',
    'telemetry',
    'config',
    'clock',
    'npm',
    'node',
  ],
  dev: ['operator', 'config', 'clock', 'liveness', 'node', 'package.json'],
  main: ['operator', 'config', 'clock', 'liveness', 'package.json'],
};

/** Who may use what only the edge of the program should; each with its reason. */
const EDGES: readonly {
  readonly what: string;
  readonly pattern: RegExp;
  readonly allowed: Readonly<Record<string, string>>;
}[] = [
  {
    what: 'process',
    pattern: /\bprocess\s*\.\s*(?!version\b)\w+/,
    allowed: {
      'operator/process.ts': 'the life of the process',
      'main.ts': 'hands over the environment',
      'dev.ts': 'the life of the process',
      'dev/narrator.ts': 'writes to the terminal',
    },
  },
  {
    what: 'Date.now, performance.now or new Date()',
    pattern: /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\)/,
    allowed: { 'clock.ts': 'the one door to time', 'dev/narrator.ts': 'prints the time of day' },
  },
  {
    what: 'a timer',
    pattern: /\bset(?:Timeout|Interval|Immediate)\(/,
    allowed: {
      'clock.ts': 'the one door to time',
      'operator/process.ts': 'keeps the process alive while it starts and stops',
      'operator/listener.ts': 'sweeps idle connections while the listener closes, which no decision depends on',
      'dev.ts': 'a workload that comes and goes',
      'dev/simulated-workload.ts': 'a workload that beats',
    },
  },
];

interface SourceFile {
  /** The path below `src`. */
  readonly path: string;
  readonly folder: string;
  readonly code: string;
  readonly imports: readonly string[];
}

const FILES: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort()
  .map((path) => {
    const code = withoutComments(readFileSync(join(SRC, path), 'utf8'));
    return { path, folder: folderOf(path), code, imports: [...code.matchAll(IMPORT)].map(([, name = '']) => name) };
  });

/** Words in comments name things that are not used there. */
function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '');
}

function folderOf(path: string): string {
  const [first = ''] = path.split('/');
  return first.replace(/\.ts$/, '');
}

/** What is imported, as a path below `src` if it is ours. */
function target(file: SourceFile, name: string): string | undefined {
  if (!name.startsWith('.')) return undefined;
  return normalize(join(dirname(file.path), name));
}

function isAllowed(file: SourceFile, name: string): boolean {
  const rules = RULES[file.folder] ?? [];
  const path = target(file, name);
  if (path === '../package.json') return rules.includes('package.json');
  if (path !== undefined) {
    const folder = folderOf(path);
    return folder === file.folder || rules.includes(folder) || rules.includes(path.replace(/\.ts$/, ''));
  }
  if (name.startsWith('node:')) return rules.includes('node') || rules.includes(name);
  return rules.includes('npm') || rules.includes(`npm:${name}`);
}

describe('The imports of src', () => {
  it('are found at all', () => {
    expect(FILES.length).toBeGreaterThan(50);
    expect(FILES.find((file) => file.path === 'controller/reconciler.ts')?.imports).toContain('../clock.ts');
    expect(FILES.find((file) => file.path === 'health/resource-name.ts')?.imports).toContain('node:crypto');
  });

  it('have a rule for every folder, and a folder for every rule', () => {
    expect([...new Set(FILES.map((file) => file.folder))].sort()).toEqual(Object.keys(RULES).sort());
  });

  it('follow the rule', () => {
    const broken = FILES.flatMap((file) =>
      file.imports.filter((name) => !isAllowed(file, name)).map((name) => `${file.path} may not import ${name}`),
    );
    expect(broken).toEqual([]);
  });

  it('name the modules of Node as such, and ours with their ending', () => {
    const odd = FILES.flatMap((file) =>
      file.imports.filter((name) => name.startsWith('.') && !/\.(ts|json)$/.test(name)),
    );
    expect(odd).toEqual([]);
  });

  it('lead from no file back to itself', () => {
    const byPath = new Map(FILES.map((file) => [file.path, file]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
        return;
      }
      const file = byPath.get(path);
      if (file === undefined || done.has(path)) return;
      for (const name of file.imports) {
        const next = target(file, name);
        if (next !== undefined) visit(next, [...trail, path]);
      }
      done.add(path);
    };
    for (const file of FILES) visit(file.path, []);
    expect(cycles).toEqual([]);
  });

  it('reach every file from one of the two entries, or from what generates code', () => {
    const reached = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      const file = FILES.find((other) => other.path === path);
      for (const name of file?.imports ?? []) {
        const next = file === undefined ? undefined : target(file, name);
        if (next !== undefined) visit(next);
      }
    };
    for (const entry of ['main.ts', 'dev.ts']) visit(entry);
    expect(FILES.map((file) => file.path).filter((path) => !reached.has(path))).toEqual([]);
  });
});

describe('The edges of the program', () => {
  it.each(EDGES)('$what is used only where there is a reason', ({ pattern, allowed }) => {
    const users = FILES.filter((file) => pattern.test(file.code)).map((file) => file.path);
    expect(users.filter((path) => !(path in allowed))).toEqual([]);
  });

  it.each(EDGES)('every exception for $what is still needed', ({ pattern, allowed }) => {
    const users = new Set(FILES.filter((file) => pattern.test(file.code)).map((file) => file.path));
    expect(Object.keys(allowed).filter((path) => !users.has(path))).toEqual([]);
  });

  it('nothing that decides holds a clock', () => {
    const pure = FILES.filter((file) => ['liveness', 'health', 'brakes'].includes(file.folder));
    expect(pure.length).toBeGreaterThan(10);
    expect(pure.filter((file) => /\b[Cc]lock\b/.test(file.code)).map((file) => file.path)).toEqual([]);
  });
});

describe('This test run', () => {
  it('uses the Node that the project pins', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8')) as {
      devDependencies: Readonly<Record<string, string>>;
    };
    expect(process.version).toBe(`v${devDependencies.node}`);
    expect(relative(SRC, import.meta.dirname)).toBe('../test/honesty');
  });
});
