/** A real S3 server for tests: moto, which `node scripts/setup.mjs` installs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { s3ServerCommand } from './s3-server/install.mjs';
import { until } from './service.js';

/** Null where it can be started; else why tests over it are skipped. */
export const noS3Server: string | null = s3ServerCommand(0)
  ? null
  : 'there is no S3 server: node scripts/setup.mjs installs one (needs Python 3.10 with pip)';

if (noS3Server) process.stderr.write(`skipped: ${noS3Server}\n`);

export interface TestS3 {
  endpoint: string;
  bucket: string;
  process: ChildProcess;
}

/** Its credentials: it takes any. */
export const S3_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };

/** Also gives this process credentials for it. Its objects are gone with it. */
export async function testS3(cleanUp: (() => Promise<unknown>)[]): Promise<TestS3> {
  Object.assign(process.env, S3_CREDENTIALS);
  const port = await freePort();
  const { command, args, env } = s3ServerCommand(port)!;
  const server = spawn(command, args, { env, stdio: 'ignore' });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  cleanUp.push(async () => {
    server.kill('SIGKILL');
    await ended;
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const bucket = 'documents';
  await until(() => put(`${endpoint}/${bucket}`), 60_000, 'the S3 server');
  return { endpoint, bucket, process: server };
}

async function put(url: string): Promise<boolean> {
  const authorization = 'AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request';
  return fetch(url, { method: 'PUT', headers: { authorization } }).then(
    ({ ok }) => ok,
    () => false,
  );
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
