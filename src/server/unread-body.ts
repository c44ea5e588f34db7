/**
 * What happens to a request whose answer comes before its body: it was too large, or the request is not allowed.
 *
 * The answer goes out at once and says that the connection ends. What still comes is read and thrown away
 * for a while: a socket that is closed with unread bytes is reset, and the client never sees the answer
 * (RFC 9112, section 9.6). Then the connection is cut, however slowly a client goes on.
 */

import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';

export interface UnreadBodyOptions {
  /** Maximum time without a byte from the client. */
  idleMs: number;
  /** Maximum time for which a discarded body is read. */
  totalMs: number;
}

const DEFAULTS: UnreadBodyOptions = { idleMs: 2_000, totalMs: 10_000 };

export function endUnreadBodies(app: FastifyInstance, options = DEFAULTS): void {
  app.addHook('onSend', async (request, reply) => {
    if (!isUnread(request)) return;
    void reply.header('connection', 'close');
    // Node ends a connection by this once the answer is out.
    const { socket } = request.raw;
    socket.destroySoon = () => lingerOn(socket, request, options);
  });
}

function isUnread({ raw }: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = raw.headers;
  return !raw.complete && (encoding !== undefined || Number(length ?? 0) > 0);
}

function lingerOn(
  socket: Socket,
  { raw }: FastifyRequest,
  { idleMs, totalMs }: UnreadBodyOptions,
): void {
  const cut = () => socket.destroy();
  const timer = setTimeout(cut, totalMs);
  socket.once('close', () => clearTimeout(timer));
  socket.setTimeout(idleMs, cut);
  raw.once('end', cut);
  // Whoever was to read it may have stopped in the middle.
  raw.unpipe();
  raw.on('error', () => {});
  raw.resume();
  socket.end();
}
