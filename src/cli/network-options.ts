/** How a service is reached: its own certificate, and the proxies before it. */

import { type Command, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import type { TlsFiles } from '../server/tls.js';
import { parseTrustedProxies, type TrustProxy } from '../server/trusted-proxies.js';

export interface NetworkFlags {
  tlsCert?: string;
  tlsKey?: string;
  trustProxy?: string;
}

export function withNetworkOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--tls-cert <file>',
        'certificate chain in PEM: answer over https; read again on SIGHUP',
      ).env('GLYPHPRESS_TLS_CERT'),
    )
    .addOption(
      new Option('--tls-key <file>', 'its private key in PEM, without a passphrase').env(
        'GLYPHPRESS_TLS_KEY',
      ),
    )
    .addOption(
      new Option(
        '--trust-proxy <list|n>',
        'addresses and networks whose X-Forwarded-… headers are believed, or how many proxies are in front; asks for keys',
      ).env('GLYPHPRESS_TRUST_PROXY'),
    );
}

/** @throws {GlyphpressError} GP_USAGE */
export function networkOptionsOf({ tlsCert, tlsKey, trustProxy }: NetworkFlags): {
  tls?: TlsFiles;
  trustProxy?: TrustProxy;
} {
  return {
    ...tlsOf(tlsCert, tlsKey),
    ...(trustProxy !== undefined && { trustProxy: parseTrustedProxies(trustProxy) }),
  };
}

function tlsOf(certFile: string | undefined, keyFile: string | undefined): { tls?: TlsFiles } {
  if (certFile !== undefined && keyFile !== undefined) return { tls: { certFile, keyFile } };
  if (certFile === undefined && keyFile === undefined) return {};
  const [given, missing] = certFile === undefined ? ['key', 'cert'] : ['cert', 'key'];
  throw new GlyphpressError('GP_USAGE', {
    message: `--tls-${given} was given without --tls-${missing}`,
    hint: 'Give both, or neither and let a proxy do TLS.',
    details: { missing: `--tls-${missing}` },
  });
}
