/** What listens: HTTP, or HTTPS with a certificate that can be renewed while it does; and who is too slow for it. */

import http from 'node:http';
import https from 'node:https';
import type { TlsIdentity } from './tls.js';

/** Timeout for the request head, and for an idle connection after it. */
const HEADERS_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 120_000;
/** Between two requests. */
const KEEP_ALIVE_MS = 30_000;
/** How often Node looks for those who are too slow. */
const CHECK_EVERY_MS = 5_000;
/** For a whole request body: large documents on slow lines take their time. */
const REQUEST_TIMEOUT_MS = 15 * 60_000;

const TIMES = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_EVERY_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
};

export class Listeners {
  readonly #secure: https.Server[] = [];
  #identity: TlsIdentity | null;

  /** @param identity null for plain HTTP */
  constructor(identity: TlsIdentity | null) {
    this.#identity = identity;
  }

  /** For each address that a name stands for there is one: `localhost` has two. */
  create(answer: http.RequestListener): http.Server {
    const server = this.#identity
      ? this.#createSecure(answer, this.#identity)
      : http.createServer(TIMES, answer);
    server.setTimeout(IDLE_TIMEOUT_MS);
    return server;
  }

  /** For the connections from now on. */
  renew(identity: TlsIdentity): void {
    this.#identity = identity;
    for (const server of this.#secure) server.setSecureContext(identity);
  }

  #createSecure(answer: http.RequestListener, { cert, key }: TlsIdentity): https.Server {
    const options = { ...TIMES, cert, key, handshakeTimeout: HEADERS_TIMEOUT_MS };
    const server = https.createServer(options, answer);
    this.#secure.push(server);
    return server;
  }
}
