/** The import rules of the design, as a check over source texts. */

import path from 'node:path';
import type { SourceFile } from './repository.js';

export interface Import {
  /** What is written between the quotes; null where it is computed. */
  specifier: string | null;
  /** `import type` and `export type` leave nothing behind at run time; `import { type X }` does. */
  typeOnly: boolean;
}

const EDGES = ['cli', 'server', 'workers'];
const VERBS = ['pipeline', 'queue', 'service', 'search', 'eval'];
const PARTS = ['render', 'vlm', 'prune', 'store', 'extract'];

/** Single files at the bottom: everybody may import them, they import the errors at most. */
const GROUND = [
  'errors',
  'cache-folder',
  'data-folder',
  'did-you-mean',
  'output-folder',
  'package-file',
  'sha256',
  'public-address',
];

/** Folder → the other folders that it may import. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  ...Object.fromEntries(GROUND.map((file) => [file, file === 'errors' ? [] : ['errors']])),
  environment: [...GROUND, 'scripts/setup/discovery.mjs'],
  ...Object.fromEntries(PARTS.map((folder) => [folder, GROUND])),
  ...Object.fromEntries(VERBS.map((folder) => [folder, [...VERBS, ...PARTS, ...GROUND]])),
  ...Object.fromEntries(
    EDGES.map((folder) => [folder, [...EDGES, ...VERBS, ...PARTS, 'environment', ...GROUND]]),
  ),
};
// The library: what programs import, and the calls that it is made of.
MAY_IMPORT.library = [...VERBS, ...PARTS, 'environment', ...GROUND];
MAY_IMPORT.index = [...MAY_IMPORT.library, 'library'];
MAY_IMPORT.pipeline = [...MAY_IMPORT.pipeline!, 'environment'];

/**
 * Behind the one door to an open document: how contexts are made and asked. Users of documents go
 * through a Backend; src/pipeline alone may know these.
 */
const BEHIND_THE_DOOR =
  /^src\/pipeline\/backends\/(compress|encode-pages|generate|join-documents|prune-hooks)\.[jt]s$/;

/** Folders above each other, single files at the bottom included. */
const MAX_FLOORS = 6;

/** Packages that speak to Redis, HTTP or a terminal: not for the parts. */
const OUTSIDE =
  /^(bullmq|ioredis|redis|commander|fastify|@fastify\/.*|undici|(node:)?(http|https|http2|net|tls))$/;

/** Static, re-exporting and dynamic imports and requires of a TypeScript source. */
export function importsOf(source: string): Import[] {
  const text = withoutComments(source);
  const found: Import[] = [];
  const statements =
    /^[ \t]*(?:import|export)\s+(?:(type)\s+(?!from\b))?(?:[\w$*{},\s]+?\s+from\s+)?['"]([^'"]+)['"]/gm;
  for (const [, type, specifier] of text.matchAll(statements)) {
    found.push({ specifier: specifier!, typeOnly: type !== undefined });
  }
  const calls = /(typeof\s+)?(?<![.\w$])(?:import|require)\s*\(\s*(?:(['"`])([^'"`$]+)\2\s*[,)])?/g;
  for (const [, type, , specifier] of text.matchAll(calls)) {
    found.push({ specifier: specifier ?? null, typeOnly: type !== undefined });
  }
  return found;
}

/** Blanks comments, and leaves strings as they are, also those that hold `//`. */
function withoutComments(source: string): string {
  return source.replace(
    /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, string: string | undefined) => string ?? ' ',
  );
}

/** One sentence for each broken rule. */
export function violations(files: readonly SourceFile[]): string[] {
  const broken: string[] = [];
  const edges = new Map<string, Set<string>>();
  const importers = (name: string) =>
    files.filter(({ text }) => importsOf(text).some(({ specifier }) => isPackage(specifier, name)));

  for (const file of files) {
    const from = folderOf(file.path);
    if (!(from in MAY_IMPORT)) broken.push(`${file.path}: no rule for the folder ${from}`);
    for (const { specifier, typeOnly } of importsOf(file.text)) {
      const say = (problem: string) => broken.push(`${file.path}: ${problem}`);
      if (specifier === null) say('imports something that is only known at run time');
      else if (/^[.#]/.test(specifier)) {
        const target = pathOf(specifier, file.path);
        const to = folderOf(target);
        if (to === from) continue;
        if (BEHIND_THE_DOOR.test(target)) say(`documents are opened through a Backend: ${target}`);
        // They are one floor.
        if (!GROUND.includes(from)) edges.set(from, (edges.get(from) ?? new Set()).add(to));
        if (!MAY_IMPORT[from]?.includes(to)) say(`${from} may not import ${to}`);
      } else {
        if (PARTS.includes(from) && OUTSIDE.test(specifier))
          say(`${from} may not know ${specifier}`);
        if (isPackage(specifier, 'bullmq') && !['queue', 'workers'].includes(from))
          say('bullmq belongs to src/queue and workers');
        if (isPackage(specifier, 'puppeteer') || isPackage(specifier, 'puppeteer-core')) {
          if (typeOnly ? from !== 'render' : file.path !== 'src/render/chromium.ts')
            say(`puppeteer belongs to src/render/chromium.ts`);
        }
      }
    }
  }
  for (const group of cyclesOf(fileEdges(files)))
    broken.push(`files import each other: ${group.join(', ')}`);
  const runtimes = importers('onnxruntime-node').map((file) => file.path);
  if (runtimes.length > 1)
    broken.push(`onnxruntime-node has more importers: ${runtimes.join(', ')}`);
  const cycle = findCycle(edges);
  if (cycle) broken.push(`folders import each other: ${cycle.join(' → ')}`);
  else {
    const tower = tallestTower(edges);
    if (tower.length > MAX_FLOORS)
      broken.push(`more than ${MAX_FLOORS} floors of folders: ${tower.join(' → ')}`);
  }
  return broken;
}

/** File → the files that it imports, also for their types alone. */
function fileEdges(files: readonly SourceFile[]): Map<string, Set<string>> {
  const names = new Set(files.map((file) => file.path));
  return new Map(
    files.map(({ path: from, text }) => {
      const targets = importsOf(text).flatMap(({ specifier }) => {
        if (!specifier?.startsWith('.')) return [];
        const target = path.posix.join(path.posix.dirname(from), specifier);
        return names.has(target) ? [target] : [target.replace(/\.(m?)js$/, '.$1ts')];
      });
      return [from, new Set(targets.filter((target) => names.has(target)))];
    }),
  );
}

/** Groups of two and more that reach each other (Tarjan's strongly connected components). */
function cyclesOf(edges: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const seen = new Map<string, { index: number; low: number; open: boolean }>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const visit = (name: string) => {
    const own = { index: seen.size, low: seen.size, open: true };
    seen.set(name, own);
    stack.push(name);
    for (const next of edges.get(name) ?? []) {
      const other = seen.get(next);
      if (!other) own.low = Math.min(own.low, visit(next).low);
      else if (other.open) own.low = Math.min(own.low, other.index);
    }
    if (own.low === own.index) {
      const group = stack.splice(stack.indexOf(name));
      for (const member of group) seen.get(member)!.open = false;
      if (group.length > 1 || edges.get(name)?.has(name)) groups.push(group.sort());
    }
    return own;
  };
  for (const name of edges.keys()) if (!seen.has(name)) visit(name);
  return groups;
}

/** The longest way from a folder down to one that imports nothing; there must be no cycle. */
function tallestTower(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const towers = new Map<string, string[]>();
  const towerOf = (folder: string): string[] => {
    const known = towers.get(folder);
    if (known) return known;
    const below = longest([...(edges.get(folder) ?? [])].map(towerOf));
    const tower = [folder, ...below];
    towers.set(folder, tower);
    return tower;
  };
  return longest([...edges.keys()].map(towerOf));
}

const longest = (towers: readonly string[][]): string[] =>
  towers.reduce((best, tower) => (tower.length > best.length ? tower : best), []);

/** From the root of the repository; `#setup/` is what package.json's `imports` says. */
function pathOf(specifier: string, importer: string): string {
  if (specifier.startsWith('#')) return specifier.replace(/^#setup\//, 'scripts/setup/');
  return path.posix.join(path.posix.dirname(importer), specifier);
}

/** `src/render/png.ts` → render, `workers/x.ts` → workers, `src/errors.ts` → errors. */
function folderOf(file: string): string {
  const [top, second] = file.split('/');
  if (top === 'src') return second!.replace(/\.[jt]s$/, '');
  return top === 'workers' ? 'workers' : file;
}

function isPackage(specifier: string | null, name: string): boolean {
  return specifier === name || (specifier?.startsWith(`${name}/`) ?? false);
}

function findCycle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | null {
  const done = new Set<string>();
  const walk = (folder: string, trail: string[]): string[] | null => {
    if (trail.includes(folder)) return [...trail.slice(trail.indexOf(folder)), folder];
    if (done.has(folder)) return null;
    for (const next of edges.get(folder) ?? []) {
      const cycle = walk(next, [...trail, folder]);
      if (cycle) return cycle;
    }
    done.add(folder);
    return null;
  };
  for (const folder of edges.keys()) {
    const cycle = walk(folder, []);
    if (cycle) return cycle;
  }
  return null;
}
