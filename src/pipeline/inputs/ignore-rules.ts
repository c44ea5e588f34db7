/** The .gitignore files that hold for a folder, those of its parents in the same repository included. */

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import ignore, { type Ignore } from 'ignore';

interface Rules {
  folder: string;
  matcher: Ignore;
}

export class IgnoreRules {
  /** The outermost folder first: what is nearer decides. */
  private constructor(private readonly rules: readonly Rules[]) {}

  /** For a folder that is walked: with the rules of the repository that it lies in. */
  static async of(folder: string): Promise<IgnoreRules> {
    const folders = [folder];
    const root = await repositoryOf(folder);
    if (root !== null) {
      for (let at = folder; at !== root; at = path.dirname(at)) folders.unshift(path.dirname(at));
    }
    let rules = new IgnoreRules([]);
    for (const at of folders) rules = await rules.below(at);
    return rules;
  }

  /** With the rules of a folder inside. */
  async below(folder: string): Promise<IgnoreRules> {
    const text = await readFile(path.join(folder, '.gitignore'), 'utf8').catch(() => null);
    if (text === null) return this;
    return new IgnoreRules([...this.rules, { folder, matcher: ignore().add(text) }]);
  }

  ignores(file: string, isFolder: boolean): boolean {
    let ignored = false;
    for (const { folder, matcher } of this.rules) {
      const relative = path.relative(folder, file).split(path.sep).join('/');
      const verdict = matcher.test(isFolder ? `${relative}/` : relative);
      if (verdict.ignored) ignored = true;
      else if (verdict.unignored) ignored = false;
    }
    return ignored;
  }
}

async function repositoryOf(folder: string): Promise<string | null> {
  for (let at = folder; ; at = path.dirname(at)) {
    if (await stat(path.join(at, '.git')).catch(() => null)) return at;
    if (path.dirname(at) === at) return null;
  }
}
