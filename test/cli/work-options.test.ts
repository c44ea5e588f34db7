import { Command, InvalidArgumentError } from 'commander';
import { expect, it } from 'vitest';
import {
  concurrency,
  type WorkFlags,
  withWorkOptions,
  workArguments,
} from '../../src/cli/work-options.js';

it('--concurrency takes one number for all steps, or some of them', () => {
  expect(concurrency('2')).toEqual({ extract: 2, render: 2, encode: 2, prefill: 2 });
  expect(concurrency('render=2, encode=1')).toEqual({ render: 2, encode: 1 });
});

it.each(['0', '65', 'render', 'render=', 'draw=2', 'render=2,encode', 'render=1.5', ''])(
  '--concurrency does not take %j',
  (text) => {
    expect(() => concurrency(text)).toThrow(InvalidArgumentError);
  },
);

it('what a service is told reaches its workers', () => {
  const parse = (args: string[]) =>
    withWorkOptions(new Command()).parse(args, { from: 'user' }).opts<WorkFlags>();
  const given = parse(['--concurrency', 'render=2,encode=1', '--browsers', '3', '--quota-mb', '7']);
  expect(given).toMatchObject({ concurrency: { render: 2, encode: 1 }, browsers: 3 });
  expect(parse(workArguments(given))).toEqual(given);
  expect(parse(workArguments(parse([])))).toEqual(parse([]));
});
