import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export interface Page {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

export function page(path: string): Page {
  // The formatter pads the cells of tables; what they say does not depend on it.
  const text = readFileSync(join(root, path), 'utf8').replaceAll(/^\|.*$/gm, (row) => row.replaceAll(/ {2,}/g, ' '));
  return { path, text };
}

/** Every Markdown file that belongs to the project. */
export function allPages(): readonly Page[] {
  return filesBelow(root)
    .filter((path) => path.endsWith('.md'))
    .map(page);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === '.git' ? [] : filesBelow(path);
    return [relative(root, path)];
  });
}

/** What the first group of `pattern` finds, each once. */
export function found(text: string, pattern: RegExp): readonly string[] {
  const all = [...text.matchAll(pattern)].map(([, first]) => first ?? '');
  return [...new Set(all)].toSorted();
}
