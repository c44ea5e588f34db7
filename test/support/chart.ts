/** As much of Helm's template language as the chart uses, so that its output can be looked at without Helm. */

import { stringify } from 'yaml';

interface Scope {
  Values: Record<string, unknown>;
  Release: { Name: string; Service: string };
  Chart: Record<string, unknown>;
}

const ACTION = /\{\{(-?)\s*([\s\S]*?)\s*(-?)\}\}/g;

/** @throws {Error} for a value that values.yaml does not have, and for what is not of the subset */
export function renderChart(helpers: string, template: string, scope: Scope): string {
  const defined = new Map<string, string>();
  const blocks =
    /\{\{-?\s*define\s+"([^"]+)"\s*-?\}\}([\s\S]*?)\{\{-?\s*end\s*-?\}\}\s*(?=\{\{-?\s*define|$)/g;
  for (const [, name, body] of helpers.matchAll(blocks)) defined.set(name!, body!.trim());

  const evaluate = (expression: string): unknown => {
    const text = /^"([^"]*)"$/.exec(expression)?.[1];
    if (text !== undefined) return text;
    const include = /^include\s+"([^"]+)"\s+\.$/.exec(expression)?.[1];
    if (include !== undefined) {
      const body = defined.get(include);
      if (body === undefined) throw new Error(`no template ${include}`);
      return render(body).trim();
    }
    const required = /^required\s+"[^"]+"\s+(\S+)$/.exec(expression)?.[1];
    if (required !== undefined) {
      const value = evaluate(required);
      if (value === '' || value === null) throw new Error(`${required} is required`);
      return value;
    }
    const yaml = /^toYaml\s+(\S+)$/.exec(expression)?.[1];
    if (yaml !== undefined) return stringify(evaluate(yaml)).trim();
    if (!/^(\.\w+)+$/.test(expression)) throw new Error(`not understood: ${expression}`);
    let value: unknown = scope;
    for (const name of expression.slice(1).split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
        throw new Error(`there is no ${expression}`);
      value = (value as Record<string, unknown>)[name];
    }
    return value;
  };

  const printed = (expression: string): string => {
    const [first, ...filters] = expression.split('|').map((part) => part.trim());
    let value = evaluate(first!);
    for (const filter of filters) {
      const indent = /^nindent (\d+)$/.exec(filter)?.[1];
      if (indent !== undefined)
        value = `\n${String(value).replace(/^(?=.)/gm, ' '.repeat(Number(indent)))}`;
      else if (filter === 'quote') value = JSON.stringify(String(value));
      else throw new Error(`not understood: ${filter}`);
    }
    return String(value);
  };

  const render = (text: string): string => {
    let out = '';
    let at = 0;
    /** Whether each open `if` lets its text through. */
    const open: boolean[] = [];
    for (const match of text.matchAll(ACTION)) {
      const [whole, trimBefore, action, trimAfter] = match;
      let between = text.slice(at, match.index);
      if (trimBefore) between = between.trimEnd();
      if (!open.includes(false)) out += between;
      at = match.index + whole.length;
      if (trimAfter) at += /^\s*/.exec(text.slice(at))![0].length;
      const [word, ...rest] = action!.split(/\s+/);
      if (word === 'if') {
        const negated = rest[0] === 'not';
        const value = open.includes(false) ? false : Boolean(evaluate(rest.at(-1)!));
        open.push(negated ? !value : value);
      } else if (word === 'else') open.push(!open.pop());
      else if (word === 'end') {
        if (open.pop() === undefined) throw new Error('an end without its if');
      } else if (!open.includes(false)) out += printed(action!);
    }
    if (open.length > 0) throw new Error('an if without its end');
    return out + text.slice(at);
  };
  return render(template);
}
