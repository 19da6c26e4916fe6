import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { environmentName, flagName, SETTINGS } from '../../src/config/settings.ts';
import { allPages, found, page } from './pages.ts';

const pages = allPages();
const sourceFolders = readdirSync('src', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

test('the pages that a reader expects are there', () => {
  const paths = pages.map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']));
});

test('every decision is in the list of decisions', () => {
  const files = readdirSync('docs/decisions').filter((name) => name !== 'README.md');
  expect(found(page('docs/decisions/README.md').text, /\]\((\d[^)]*)\)/g)).toEqual(files.toSorted());
});

describe.each(pages)('$path', ({ path, text }) => {
  test('links only to files and headings that exist', () => {
    const links = found(withoutCode(text), /\]\(([^)]+)\)/g).filter((link) => !/^[a-z]+:/.test(link));
    expect(links.filter((link) => !isResolved(path, link))).toEqual([]);
  });

  test('names only source files that exist', () => {
    const folder = `(?:src/)?(?:${sourceFolders.join('|')})`;
    const named = found(text, new RegExp(`(?<![\\w/-])(${folder}/[\\w/-]+\\.ts)`, 'g'));
    expect(named.filter((file) => !existsSync(file) && !existsSync(join('src', file)))).toEqual([]);
  });

  test('names only flags and variables that exist', () => {
    const names = Object.keys(SETTINGS);
    const flags = found(text, /(?:`|npm (?:start|run dev) -- )(--[a-z-]+)/g);
    const known = new Set([...names.map(flagName), '--help', '--version', '--print-config', ...FLAGS_OF_KUBECTL]);
    expect(flags.filter((flag) => !known.has(flag))).toEqual([]);
    const variables = found(text, /\b(HBO_[A-Z_]*[A-Z])\b/g).filter((variable) => variable !== MISSPELT);
    expect(variables.filter((variable) => !names.map(environmentName).includes(variable))).toEqual([]);
  });
});

const FLAGS_OF_KUBECTL = ['--field-selector'];

/** An example of a mistake, in decision 0007. */
const MISSPELT = 'HBO_HEARTBAET_PORT';

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

function isResolved(path: string, link: string): boolean {
  const [file = '', heading] = link.split('#');
  const target = file === '' ? path : join(dirname(path), file);
  if (!existsSync(target)) return false;
  return heading === undefined || headingsOf(page(target).text).includes(heading);
}

/** The anchors of a page, as GitHub makes them of its headings. */
function headingsOf(text: string): readonly string[] {
  return found(withoutFences(text), /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutFences(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, '');
}
