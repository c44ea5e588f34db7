/** Certificates that sign themselves, made by openssl, for a service on loopback. */

import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import type { TlsFiles } from '../../src/server/tls.js';

export const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0;

/** Valid for two days. @param keyArguments of `openssl req`, for another kind of key */
export function makeCertificate(
  folder: string,
  name: string,
  keyArguments: readonly string[] = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
): TlsFiles {
  const certFile = path.join(folder, `${name}.crt`);
  const keyFile = path.join(folder, `${name}.key`);
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', ...keyArguments, '-noenc', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', keyFile, '-out', certFile],
    ],
    { stdio: 'pipe' },
  );
  return { certFile, keyFile };
}

/** The same key behind a passphrase. */
export function lockKey(keyFile: string, lockedFile: string): void {
  const passphrase = ['-aes256', '-passout', 'pass:secret'];
  execFileSync('openssl', ['pkey', '-in', keyFile, ...passphrase, '-out', lockedFile]);
}
