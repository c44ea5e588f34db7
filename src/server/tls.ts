/** The certificate of a service, and the key that belongs to it: read, and checked before anybody connects. */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { GlyphpressError } from '../errors.js';

export interface TlsFiles {
  /** PEM: the certificate of the service first, then those between it and its authority. */
  certFile: string;
  /** PEM, without a passphrase. */
  keyFile: string;
}

export interface TlsIdentity {
  cert: string;
  key: string;
  /** Names that it is for, as the certificate writes them. */
  names: string;
  /** When the first certificate of the chain ends. */
  expiresAt: Date;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * @param now for tests
 * @throws {GlyphpressError} GP_TLS for files that cannot be read, that do not belong together, and for a
 *   certificate that is expired or not valid yet
 */
export async function readTlsIdentity(
  { certFile, keyFile }: TlsFiles,
  now: Date = new Date(),
): Promise<TlsIdentity> {
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  const chain = certificatesIn(cert, certFile);
  const [own] = chain as [X509Certificate];
  if (!own.checkPrivateKey(privateKeyIn(key, keyFile))) throw mismatched(certFile, keyFile);
  for (const certificate of chain) assertValid(certificate, certFile, now);
  assertUsable(cert, key, certFile);
  return {
    cert,
    key,
    names: own.subjectAltName ?? own.subject,
    expiresAt: new Date(Math.min(...chain.map(({ validTo }) => Date.parse(validTo)))),
  };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw unusable(file, `${file} cannot be read: ${(cause as Error).message}`, {
      hint: 'Correct the path, or let this user read the file.',
      cause,
    });
  }
}

function certificatesIn(text: string, file: string): X509Certificate[] {
  const blocks = text.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    throw unusable(file, `${file} holds no certificate in PEM`, {
      hint: 'Give the full chain as --tls-cert and the private key as --tls-key.',
    });
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw unusable(file, `A certificate in ${file} is damaged`, {
      hint: 'Get the file again from where it was issued.',
      cause,
    });
  }
}

function privateKeyIn(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    const isLocked = /^(-----BEGIN|Proc-Type:).*ENCRYPTED/m.test(text);
    throw unusable(
      file,
      isLocked ? `The key in ${file} has a passphrase` : `${file} holds no private key in PEM`,
      {
        hint: isLocked
          ? 'Write it without one (openssl pkey -in KEY -out NEW) and let only this user read it.'
          : 'Give the private key as --tls-key and the certificate as --tls-cert.',
        cause,
      },
    );
  }
}

function assertValid({ subject, validFrom, validTo }: X509Certificate, file: string, now: Date) {
  const hasBegun = Date.parse(validFrom) <= now.getTime();
  if (hasBegun && now.getTime() < Date.parse(validTo)) return;
  const name = subject.replaceAll('\n', ', ');
  throw unusable(
    file,
    hasBegun
      ? `The certificate of ${name} expired on ${validTo}`
      : `The certificate of ${name} is valid from ${validFrom} on; it is ${now.toUTCString()}`,
    { hint: hasBegun ? 'Renew it.' : 'Set the clock, or wait.', details: { validFrom, validTo } },
  );
}

/** What OpenSSL refuses although each part can be read: a key that is too short, for example. */
function assertUsable(cert: string, key: string, file: string): void {
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw unusable(file, `OpenSSL does not take ${file}: ${(cause as Error).message}`, {
      hint: 'Get a certificate with a key of 2,048 bits RSA or P-256 at least.',
      cause,
    });
  }
}

function mismatched(certFile: string, keyFile: string): GlyphpressError {
  return unusable(
    certFile,
    `The key in ${keyFile} is not that of the first certificate in ${certFile}`,
    {
      hint: 'Give files that were made together; in a chain, the certificate of the service comes first.',
      details: { keyFile },
    },
  );
}

function unusable(
  file: string,
  message: string,
  { hint, details = {}, cause }: { hint: string; details?: object; cause?: unknown },
): GlyphpressError {
  return new GlyphpressError('GP_TLS', {
    message,
    hint,
    details: { file, ...details },
    ...(cause !== undefined && { cause }),
  });
}
