/** The OpenAPI document for people to read. */

const holder = document.querySelector('#operations');

/** @param children nodes and texts; what is empty is left out */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== '' && child != null));
  return made;
}

/** A schema in a few words. */
function typeOf(schema) {
  if (schema === undefined) return '';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' | ');
  if (schema.type === 'array') return `${typeOf(schema.items) || 'any'}[]`;
  if (schema.type === 'object' || schema.properties) return schema.title ?? 'object';
  return schema.type ?? 'any';
}

function rangeOf({ minimum, exclusiveMinimum, maximum, maxLength, maxItems }) {
  const parts = [
    minimum !== undefined && `from ${minimum}`,
    exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`,
    maximum !== undefined && `to ${maximum}`,
    maxLength !== undefined && `at most ${maxLength} characters`,
    maxItems !== undefined && `at most ${maxItems}`,
  ];
  return parts.filter(Boolean).join(' ');
}

function fieldRow(name, schema, required) {
  const about = [schema.description, rangeOf(schema)].filter(Boolean).join(' · ');
  return element(
    'tr',
    '',
    element('th', '', element('code', '', name), required ? ' *' : ''),
    element('td', '', element('code', 'quiet', typeOf(schema))),
    element('td', 'quiet', about),
  );
}

function fieldTable(title, rows) {
  if (rows.length === 0) return '';
  return element('section', 'fields', element('h3', '', title), element('table', '', ...rows));
}

function fieldsOf(schema) {
  const { properties = {}, required = [] } = schema ?? {};
  return Object.entries(properties).map(([name, one]) =>
    fieldRow(name, one, required.includes(name)),
  );
}

function operation(path, method, shown) {
  const { summary = '', description = '', parameters = [], requestBody, responses = {} } = shown;
  const body = requestBody && Object.values(requestBody.content)[0]?.schema;
  const [status, answer] = Object.entries(responses).find(([code]) => code.startsWith('2')) ?? [];
  const answerSchema = answer?.content && Object.values(answer.content)[0]?.schema;
  const details = element(
    'details',
    'operation',
    element(
      'summary',
      '',
      element('code', 'method', method.toUpperCase()),
      element('code', '', path),
      element('span', 'quiet', summary),
    ),
    description === '' ? '' : element('p', '', description),
    fieldTable(
      'In the address',
      parameters
        .filter((one) => one.in !== 'header')
        .map((one) =>
          fieldRow(
            one.name,
            { ...one.schema, description: one.description ?? one.schema?.description },
            one.required,
          ),
        ),
    ),
    fieldTable('Body', fieldsOf(body)),
    fieldTable(`Answer ${status ?? ''}`, fieldsOf(answerSchema)),
  );
  return details;
}

const { info, paths } = await (await fetch('/openapi.json')).json();
document.querySelector('#version').textContent = info.version;
const groups = new Map();
for (const [path, methods] of Object.entries(paths)) {
  for (const [method, shown] of Object.entries(methods)) {
    const group = shown.tags?.[0] ?? 'operations';
    groups.set(group, [...(groups.get(group) ?? []), operation(path, method, shown)]);
  }
}
for (const [name, operations] of groups)
  holder.append(element('section', 'group', element('h2', '', name), ...operations));
