// Writes the files that are derived from other files. With --check it writes nothing and fails if one is not current.
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type JSONSchema, compile } from 'json-schema-to-typescript';
import { parse } from 'yaml';
import { environmentName, flagName, SETTINGS } from '../src/config/settings.ts';

interface Target {
  /** From the root of the repository. */
  readonly path: string;
  /** The text before formatting. */
  content(): Promise<string>;
}

const targets: readonly Target[] = [
  {
    path: 'src/kubernetes/generated/heartbeat-instance.ts',
    content: () => typesOfCustomResource('deploy/crds/heartbeat-operator.io_heartbeatinstances.yaml'),
  },
  {
    path: 'src/kubernetes/generated/heartbeat-policy.ts',
    content: () => typesOfCustomResource('deploy/crds/heartbeat-operator.io_heartbeatpolicies.yaml'),
  },
  {
    path: 'docs/settings.md',
    content: () => Promise.resolve(settingsPage()),
  },
];

const root = fileURLToPath(new URL('..', import.meta.url));

async function typesOfCustomResource(crdPath: string): Promise<string> {
  const crd = parse(await readFile(root + crdPath, 'utf8')) as {
    spec: { names: { kind: string }; versions: { schema: { openAPIV3Schema: JSONSchema } }[] };
  };
  const [version] = crd.spec.versions;
  if (version === undefined) throw new Error(`${crdPath} has no version`);
  return compile(version.schema.openAPIV3Schema, crd.spec.names.kind, {
    bannerComment: `// Generated from ${crdPath} by npm run generate. Do not edit.`,
    additionalProperties: false,
    // Larger lists would become tuples of every length.
    maxItems: 0,
    format: false,
  });
}

function settingsPage(): string {
  const rows = Object.entries(SETTINGS).map(([name, { defaultValue, allowed, description }]) => {
    const written = defaultValue === '' ? 'empty' : `\`${defaultValue}\``;
    const cells = [`\`${flagName(name)}\`<br>\`${environmentName(name)}\``, written, allowed, description];
    return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
  });
  return `<!-- Generated from src/config/settings.ts by npm run generate. Do not edit. -->

# Settings

Each setting is a flag and an environment variable. A flag beats its variable, a variable beats the default.

\`\`\`sh
npm start -- --heartbeat-port 30200 --log-level=debug
HBO_HEARTBEAT_PORT=30200 npm start
npm start -- --print-config        # what is in force, as JSON; starts nothing
\`\`\`

All values are checked at the start. Every mistake is told in one line of its own, and the process ends with exit code 2.
A variable that begins with \`HBO_\` and is no setting is such a mistake.

| setting | default | allowed | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}

\`npm run dev\` has defaults of its own, for a quick look: \`npm run dev -- --print-config\` shows them.
`;
}

function formatted(path: string, content: string): string {
  const biome = fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url));
  const result = spawnSync(biome, ['format', `--stdin-file-path=${path}`], {
    cwd: root,
    input: content,
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`biome cannot format ${path}: ${result.stderr}`);
  return result.stdout;
}

const isCheck = process.argv.includes('--check');
for (const target of targets) {
  const wanted = formatted(target.path, await target.content());
  const found = await readFile(root + target.path, 'utf8').catch(() => undefined);
  if (found === wanted) continue;
  if (isCheck) {
    process.stderr.write(`${target.path} is not current: run npm run generate\n`);
    process.exitCode = 1;
  } else {
    await writeFile(root + target.path, wanted);
  }
}
