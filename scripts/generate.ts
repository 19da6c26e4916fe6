// Writes the files that are derived from other files. With --check it writes nothing and fails if one is not current.
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type JSONSchema, compile } from 'json-schema-to-typescript';
import { parse } from 'yaml';

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
