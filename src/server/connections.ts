/**
 * Open connections are bounded, in all and for one address: a client that opens many
 * idle connections must not block the others. Idle ones end by their timeouts (see app.ts). A trusted proxy
 * brings those of many clients: only the bound for all holds for it.
 */

import type { Server, Socket } from 'node:net';
import type { TrustProxy } from './trusted-proxies.js';

export interface ConnectionLimits {
  /** Open connections of this process. */
  connections: number;
  /** Of them, those of one address; a proxy that is not trusted is one. */
  connectionsPerAddress: number;
}

/** What is too much is closed at once, without a word: there is no request yet to answer. */
export function boundConnections(
  server: Server,
  { connections, connectionsPerAddress }: ConnectionLimits,
  isTrusted: TrustProxy = () => false,
): void {
  const open = new Map<string, number>();
  server.maxConnections = connections;
  server.prependListener('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    if (isTrusted(address, 0)) return;
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.once('close', () => {
      const rest = open.get(address)! - 1;
      if (rest === 0) open.delete(address);
      else open.set(address, rest);
    });
    if (count > connectionsPerAddress) socket.destroy();
  });
}
