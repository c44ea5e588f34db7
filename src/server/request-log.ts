/** What the log says of a request: who asked, as far as a trusted proxy says so, and who connected. */

import type { FastifyRequest } from 'fastify';

export function loggedRequest(request: FastifyRequest) {
  const { method, url, host, protocol: scheme, ip: remoteAddress, socket } = request;
  const peer = socket?.remoteAddress;
  return {
    method,
    url,
    host,
    scheme,
    remoteAddress,
    ...(peer !== remoteAddress && { proxy: peer }),
  };
}
