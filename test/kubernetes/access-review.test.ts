import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type Access, neededRights } from '../../src/kubernetes/access-review.ts';

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

const file = fileURLToPath(new URL('../../deploy/rbac.yaml', import.meta.url));

/** All that the roles of this name grant, one right each. */
async function granted(name: string): Promise<readonly Access[]> {
  const objects = parseAllDocuments(await readFile(file, 'utf8')).map((document) => document.toJS() as Role);
  const roles = objects.filter(({ kind, metadata }) => /^(?:Cluster)?Role$/.test(kind) && metadata.name === name);
  return roles.flatMap(({ metadata: { namespace }, rules }) =>
    rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((path) =>
          resourceNames.flatMap((objectName) =>
            verbs.map((verb) => {
              const [resource = '', subresource] = path.split('/');
              return {
                group,
                resource,
                ...(subresource !== undefined && { subresource }),
                verb,
                ...(namespace !== undefined && { namespace }),
                ...(objectName !== undefined && { name: objectName }),
              };
            }),
          ),
        ),
      ),
    ),
  );
}

function line({ group, resource, subresource = '', verb, namespace = '', name = '' }: Access): string {
  return [group, resource, subresource, verb, namespace, name].join('|');
}

function inOrder(rights: readonly Access[]): readonly string[] {
  return rights.map(line).sort();
}

describe('the rights that the operator asks for', () => {
  it('are those that deploy/ grants its account, and no others', async () => {
    expect(inOrder(await granted('heartbeat-operator'))).toEqual(inOrder(neededRights('heartbeat-operator')));
  });

  it('have no wildcard among them', () => {
    expect(JSON.stringify(neededRights('heartbeat-operator'))).not.toContain('*');
  });
});

describe('the rights of the command that opens all Pods', () => {
  it('are enough for that, and for nothing else', async () => {
    const marker = { group: '', resource: 'configmaps', namespace: 'heartbeat-operator' };
    const injection = { group: 'admissionregistration.k8s.io', verb: 'delete', name: 'heartbeat-operator-gate' };
    expect(inOrder(await granted('heartbeat-operator-release'))).toEqual(
      inOrder([
        { group: '', resource: 'pods', verb: 'get' },
        { group: '', resource: 'pods', verb: 'list' },
        { group: '', resource: 'pods', subresource: 'status', verb: 'patch' },
        { ...injection, resource: 'mutatingadmissionpolicies' },
        { ...injection, resource: 'mutatingadmissionpolicybindings' },
        { ...marker, verb: 'get', name: 'heartbeat-operator-release' },
        { ...marker, verb: 'create' },
      ]),
    );
  });
});
