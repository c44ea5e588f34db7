/**
 * A model hub on loopback: the routes that @huggingface/hub asks for a model, over folders on disk, and
 * the mishaps that happen on the way.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

export interface HubRepository {
  folder: string;
  /** Who may read it; anybody if left out. */
  token?: string;
}

export interface Mishaps {
  /** File → how many bytes are sent before the connection breaks, once an entry. */
  cutAfter?: Record<string, number[]>;
  /** Files that are changed on the way. */
  damaged?: string[];
  /** Files that are listed and not there. */
  missing?: string[];
  /** File → size to claim in the list. */
  claimedSize?: Record<string, number>;
}

export interface HubServer {
  url: string;
  /** Method and path of each request, the byte range behind it. */
  requests: string[];
  mishaps: Mishaps;
  close(): Promise<void>;
}

export const COMMIT = 'c0ffee'.padEnd(40, '0');

const LFS = /\.safetensors$/;

export async function startHub(repositories: Record<string, HubRepository>): Promise<HubServer> {
  const hub: HubServer = {
    url: '',
    requests: [],
    mishaps: {},
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer((request, response) => answer(hub, repositories, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return hub;
}

function answer(
  hub: HubServer,
  repositories: Record<string, HubRepository>,
  request: IncomingMessage,
  response: ServerResponse,
): unknown {
  const { pathname } = new URL(request.url!, hub.url);
  const range = request.headers.range;
  hub.requests.push(`${request.method} ${pathname}${range ? ` ${range}` : ''}`);
  const parts = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const isApi = parts[0] === 'api';
  const [owner, name, verb, revision, ...file] = isApi ? parts.slice(2) : parts;
  const id = `${owner}/${name}`;
  const repository = repositories[id];
  const fail = (status: number, error: string, code = '') => {
    response.writeHead(status, { 'content-type': 'application/json', 'x-error-code': code });
    response.end(JSON.stringify({ error }));
  };
  // As the hub does it: who may not know of a model is told that he is not known.
  if (!repository) return fail(401, 'Invalid username or password.', 'RepoNotFound');
  const { token } = repository;
  if (token && request.headers.authorization !== `Bearer ${token}`) {
    return fail(request.headers.authorization ? 403 : 401, 'Access is restricted.', 'GatedRepo');
  }
  if (![COMMIT, 'main', 'v1'].includes(revision!))
    return fail(404, 'Invalid rev id', 'RevisionNotFound');
  const json = (body: unknown) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (isApi && verb === 'revision')
    return json({ _id: '1', id, sha: COMMIT, lastModified: '2026-01-01' });
  if (isApi && verb === 'tree') return json(listing(repository, hub.mishaps));
  if (verb !== 'resolve') return fail(404, 'no such route');
  return sendFile(hub, repository, file.join('/'), range, response, fail);
}

function listing({ folder }: HubRepository, { claimedSize = {} }: Mishaps): unknown[] {
  return readdirSync(folder, { withFileTypes: true }).map((entry) => {
    if (entry.isDirectory()) return { type: 'directory', path: entry.name, size: 0, oid: '0' };
    const bytes = readFileSync(path.join(folder, entry.name));
    const size = claimedSize[entry.name] ?? bytes.byteLength;
    const oid = createHash('sha1').update(`blob ${size}\0`).update(bytes).digest('hex');
    if (!LFS.test(entry.name)) return { type: 'file', path: entry.name, size, oid };
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return {
      type: 'file',
      path: entry.name,
      size,
      oid,
      lfs: { oid: sha256, size, pointerSize: 130 },
    };
  });
}

function sendFile(
  { mishaps }: HubServer,
  { folder }: HubRepository,
  name: string,
  range: string | undefined,
  response: ServerResponse,
  fail: (status: number, error: string, code?: string) => void,
): unknown {
  const known = readdirSync(folder).includes(name) && !mishaps.missing?.includes(name);
  if (!known) return fail(404, 'Entry not found', 'EntryNotFound');
  const bytes = Buffer.from(readFileSync(path.join(folder, name)));
  if (mishaps.damaged?.includes(name)) bytes[bytes.byteLength >> 1]! ^= 1;
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const start = Number(from ?? 0);
  const end = Math.min(Number(to ?? bytes.byteLength - 1), bytes.byteLength - 1);
  const body = bytes.subarray(start, end + 1);
  response.writeHead(range ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': body.byteLength,
    etag: '"x"',
    ...(range && { 'content-range': `bytes ${start}-${end}/${bytes.byteLength}` }),
  });
  // The first byte alone is how the client asks for the size.
  const cut = body.byteLength > 1 ? mishaps.cutAfter?.[name]?.shift() : undefined;
  if (cut === undefined) return response.end(body);
  return response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}
