/**
 * Prints how the sources hang together, read from their syntax trees:
 *
 *   node test/support/architecture-report.mjs [--json]
 *
 * Type-only imports count like others: whoever reads a file has to know them too.
 *
 * A chain is as long as it has imports; a floor is a folder of `src` that imports the next one down.
 */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Functions with a cyclomatic complexity above this are listed. */
const MAX_BRANCHES = 15;

const BRANCHING = new Set([
  SyntaxKind.IfStatement,
  SyntaxKind.ConditionalExpression,
  SyntaxKind.CaseClause,
  SyntaxKind.CatchClause,
  SyntaxKind.ForStatement,
  SyntaxKind.ForInStatement,
  SyntaxKind.ForOfStatement,
  SyntaxKind.WhileStatement,
  SyntaxKind.DoStatement,
]);
const SHORT_CIRCUITS = new Set([
  SyntaxKind.AmpersandAmpersandToken,
  SyntaxKind.BarBarToken,
  SyntaxKind.QuestionQuestionToken,
]);
const FUNCTIONS = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
]);

function readSources() {
  const api = new API({ cwd: ROOT });
  try {
    const config = path.join(ROOT, 'tsconfig.json');
    const [project] = api.updateSnapshot({ openProjects: [config] }).getProjects();
    return project.rootFiles
      .map((file) => ({ file, name: path.relative(ROOT, file).split(path.sep).join('/') }))
      .filter(({ name }) => /^(src|workers)\//.test(name) && !name.endsWith('.d.ts'))
      .map(({ file, name }) => readFile(name, project.program.getSourceFile(file)));
  } finally {
    api.close();
  }
}

function readFile(name, source) {
  const found = { name, imports: [], exports: [], functions: [] };
  for (const statement of source.statements) readStatement(statement, found);
  readImportCalls(source, found.imports);
  readFunctions(source, source, null, found.functions);
  return found;
}

function readStatement(statement, { imports, exports }) {
  const { kind, moduleSpecifier: from } = statement;
  if (kind === SyntaxKind.ImportDeclaration) {
    imports.push({ from: from.text, names: importedNames(statement.importClause) });
  } else if (kind === SyntaxKind.ExportDeclaration) {
    const elements = statement.exportClause?.elements?.map((element) => ({
      name: element.name.text,
      original: (element.propertyName ?? element.name).text,
      from: from?.text ?? null,
    }));
    if (from) imports.push({ from: from.text, names: [], reExports: true });
    exports.push(...(elements ?? [{ name: '*', original: '*', from: from.text }]));
  } else if (statement.modifiers?.some((one) => one.kind === SyntaxKind.ExportKeyword)) {
    const names = statement.declarationList
      ? statement.declarationList.declarations.flatMap(({ name }) => boundNames(name))
      : [statement.name?.text ?? 'default'];
    exports.push(...names.map((name) => ({ name, original: name, from: null })));
  }
}

function importedNames(clause) {
  if (!clause) return [];
  const named = clause.namedBindings?.elements?.map(
    (element) => (element.propertyName ?? element.name).text,
  );
  return [...(clause.name ? ['default'] : []), ...(named ?? (clause.namedBindings ? ['*'] : []))];
}

function boundNames(name) {
  return name.elements ? name.elements.flatMap((one) => boundNames(one.name)) : [name.text];
}

/** `await import('./x.js')` and `import('./x.js').Type`; the names are those taken apart on the spot. */
function readImportCalls(node, imports) {
  const isCall =
    node.kind === SyntaxKind.CallExpression && node.expression.kind === SyntaxKind.ImportKeyword;
  if (isCall && node.arguments[0].text) {
    const target = node.parent.kind === SyntaxKind.AwaitExpression ? node.parent.parent : null;
    const bound = target?.name?.elements?.map((one) => (one.propertyName ?? one.name).text);
    imports.push({ from: node.arguments[0].text, names: bound ?? ['*'] });
  }
  if (node.kind === SyntaxKind.ImportType && node.argument.literal) {
    imports.push({ from: node.argument.literal.text, names: [node.qualifier?.text ?? '*'] });
  }
  node.forEachChild((child) => readImportCalls(child, imports));
}

/** Paths through a function's own body (cyclomatic complexity); functions within count for themselves. */
function readFunctions(node, source, current, functions) {
  let inside = current;
  if (FUNCTIONS.has(node.kind)) {
    inside = { line: lineAt(source, node.getStart(source)), branches: 1 };
    functions.push(inside);
  }
  if (inside && (BRANCHING.has(node.kind) || isShortCircuit(node))) inside.branches++;
  node.forEachChild((child) => readFunctions(child, source, inside, functions));
}

const isShortCircuit = (node) =>
  node.kind === SyntaxKind.BinaryExpression && SHORT_CIRCUITS.has(node.operatorToken.kind);

const lineAt = (source, position) => source.text.slice(0, position).split('\n').length;

function measure(files) {
  const byName = new Map(files.map((file) => [file.name, file]));
  const target = (file, from) => {
    if (!from?.startsWith('.')) return null;
    const joined = path.posix.join(path.posix.dirname(file.name), from);
    return byName.get(joined.replace(/\.js$/, '.ts')) ?? null;
  };
  const edges = new Map();
  const folders = new Map();
  for (const file of files) {
    const targets = file.imports.map(({ from }) => target(file, from)).filter(Boolean);
    edges.set(file.name, new Set(targets.map(({ name }) => name)));
    const own = folderOf(file.name);
    if (!folders.has(own)) folders.set(own, new Set());
    for (const { name } of targets)
      if (folderOf(name) !== own) folders.get(own).add(folderOf(name));
  }
  const groups = stronglyConnected(edges);
  const chain = longestChain(edges, groups);
  const floors = longestChain(folders, stronglyConnected(folders));
  const branchy = files
    .flatMap(({ name, functions }) =>
      functions.map(({ line, branches }) => ({ at: `${name}:${line}`, branches })),
    )
    .filter(({ branches }) => branches > MAX_BRANCHES)
    .sort((a, b) => b.branches - a.branches);
  return {
    files: files.length,
    longestChain: { imports: chain.length - 1, files: chain },
    floors: { count: floors.length, folders: floors },
    cycles: groups.filter((group) => group.length > 1),
    branchyFunctions: branchy,
    exports: countImporters(files, target),
  };
}

/** `src/render/png.ts` → render, `workers/x.ts` → workers; single files of `src` at the bottom are one floor. */
function folderOf(name) {
  const [top, second, ...rest] = name.split('/');
  if (top !== 'src') return top;
  if (rest.length > 0) return second;
  return second === 'index.ts' ? 'library' : 'ground';
}

/** Tarjan; the groups come in the order "imported before importer". */
function stronglyConnected(edges) {
  const seen = new Map();
  const stack = [];
  const groups = [];
  const visit = (name) => {
    const state = { index: seen.size, low: seen.size, onStack: true };
    seen.set(name, state);
    stack.push(name);
    for (const next of edges.get(name) ?? []) {
      const known = seen.get(next);
      if (!known) state.low = Math.min(state.low, visit(next).low);
      else if (known.onStack) state.low = Math.min(state.low, known.index);
    }
    if (state.low === state.index) {
      const group = stack.splice(stack.indexOf(name));
      for (const member of group) seen.get(member).onStack = false;
      groups.push(group);
    }
    return state;
  };
  for (const name of edges.keys()) if (!seen.has(name)) visit(name);
  return groups;
}

/** From the top to the ground; all members of a cycle stand on one step of it. */
function longestChain(edges, groups) {
  const groupOf = new Map(groups.flatMap((group) => group.map((name) => [name, group])));
  const best = new Map();
  for (const group of groups) {
    let longest = [];
    for (const next of group.flatMap((name) => [...(edges.get(name) ?? [])])) {
      const chain = groupOf.get(next) === group ? [] : best.get(groupOf.get(next));
      if (chain && chain.length > longest.length) longest = chain;
    }
    best.set(group, [group.join(' ↔ '), ...longest]);
  }
  return [...best.values()].reduce((a, b) => (b.length > a.length ? b : a), []);
}

/** Names that other files import, each counted where it is declared, however it is passed on. */
function countImporters(files, target) {
  const origin = (file, name, trail = new Set()) => {
    if (trail.has(file)) return null;
    trail.add(file);
    for (const one of file.exports) {
      if (one.name !== name && one.name !== '*') continue;
      if (one.from === null) return { file, name: one.original };
      const next = target(file, one.from);
      const found = next && origin(next, one.name === '*' ? name : one.original, trail);
      if (found) return found;
    }
    return null;
  };
  const importers = new Map();
  for (const file of files)
    for (const { name, from } of file.exports)
      if (from === null) importers.set(`${file.name} ${name}`, new Set());
  for (const file of files) {
    for (const { from, names, reExports } of file.imports) {
      const module = target(file, from);
      if (!module || reExports) continue;
      const wanted = names.includes('*') ? module.exports.map(({ name }) => name) : names;
      for (const name of wanted) {
        const found = origin(module, name);
        if (found) importers.get(`${found.file.name} ${found.name}`)?.add(file.name);
      }
    }
  }
  const counts = [...importers.values()].map(({ size }) => size);
  const withOne = counts.filter((count) => count === 1).length;
  return {
    total: counts.length,
    withOneImporter: withOne,
    withoutImporter: counts.filter((count) => count === 0).length,
    share: withOne / counts.length,
  };
}

function print({ files, longestChain, floors, cycles, branchyFunctions, exports }) {
  console.log(`files                       ${files}`);
  console.log(`longest import chain        ${longestChain.imports}`);
  console.log(`floors of folders           ${floors.count}  ${floors.folders.join(' → ')}`);
  console.log(`import cycles               ${cycles.length}`);
  for (const cycle of cycles) console.log(`  ${cycle.length} files: ${cycle.join(', ')}`);
  console.log(`functions over ${MAX_BRANCHES} branches  ${branchyFunctions.length}`);
  for (const { at, branches } of branchyFunctions) console.log(`  ${branches}  ${at}`);
  const share = (exports.share * 100).toFixed(1);
  console.log(
    `exports with one importer   ${share} % (${exports.withOneImporter} of ${exports.total})`,
  );
  console.log(`exports without importer    ${exports.withoutImporter}`);
}

const report = measure(readSources());
if (process.argv.includes('--json')) console.log(JSON.stringify(report, null, 2));
else print(report);
