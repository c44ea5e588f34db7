import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readTlsIdentity, type TlsFiles } from '../../src/server/tls.js';
import { HAS_OPENSSL, lockKey, makeCertificate } from '../support/certificates.js';
import { glyphpress, startGlyphpress } from '../support/cli.js';
import { sharedFolder, temporaryFolder } from '../support/folders.js';
import { testServer } from '../support/http.js';
import { TINY_MODEL } from '../support/models.js';
import { cleanUpAtEnd, testRedis, until } from '../support/service.js';

const folder = sharedFolder();
const inFolder = (name: string, text: string) => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

interface Answer {
  status: number;
  body: string;
  /** Of the certificate that was shown. */
  name: string;
}

/** As a client that trusts one certificate and nothing else. */
function ask(url: string, ca: string, body?: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = {
      ca,
      agent: false as const,
      ...(body && { method: 'POST', headers: { 'content-type': 'text/plain' } }),
    };
    const request = https.request(url, options, (reply) => {
      const { CN: name } = (reply.socket as TLSSocket).getPeerCertificate().subject;
      let text = '';
      reply.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      reply.on('end', () => resolve({ status: reply.statusCode!, body: text, name: String(name) }));
      reply.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe.skipIf(!HAS_OPENSSL)('the files of a certificate', () => {
  let good: TlsFiles;
  let other: TlsFiles;
  const refusalOf = (files: TlsFiles, now?: Date) => readTlsIdentity(files, now).catch((e) => e);
  const refused = (message: RegExp) =>
    expect.objectContaining({ code: 'GP_TLS', message: expect.stringMatching(message) });

  beforeAll(() => {
    good = makeCertificate(folder, 'good');
    other = makeCertificate(folder, 'other');
  });

  it('are read with the names they are for and when they end', async () => {
    const { cert, names, expiresAt } = await readTlsIdentity(good);
    expect(cert).toBe(readFileSync(good.certFile, 'utf8'));
    expect(names).toBe('DNS:localhost, IP Address:127.0.0.1');
    const days = (expiresAt.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(1.9);
    expect(days).toBeLessThanOrEqual(2);
  });

  it('are refused when one cannot be read', async () => {
    const certFile = path.join(folder, 'none.crt');
    expect(await refusalOf({ ...good, certFile })).toEqual(refused(/none\.crt cannot be read/));
    expect(await refusalOf({ ...good, keyFile: folder })).toEqual(refused(/cannot be read/));
  });

  it('are refused when they do not belong together', async () => {
    const { certFile } = good;
    const { keyFile } = other;
    expect(await refusalOf({ certFile, keyFile })).toEqual(
      refused(/other\.key is not that of the first certificate in .*good\.crt/),
    );
    // A chain in the wrong order shows the certificate of another to every client.
    const chain = `${readFileSync(other.certFile, 'utf8')}${readFileSync(certFile, 'utf8')}`;
    const swapped = { ...good, certFile: inFolder('chain.crt', chain) };
    expect(await refusalOf(swapped)).toEqual(refused(/is not that of the first certificate/));
  });

  it('are refused when one is the other, is damaged, or has a passphrase', async () => {
    const { certFile, keyFile } = good;
    expect(await refusalOf({ certFile: keyFile, keyFile: certFile })).toEqual(
      refused(/good\.key holds no certificate in PEM/),
    );
    expect(await refusalOf({ certFile, keyFile: certFile })).toEqual(
      refused(/good\.crt holds no private key/),
    );
    const torn = readFileSync(certFile, 'utf8').replace(/\n.{20}/, '\n');
    expect(await refusalOf({ certFile: inFolder('torn.crt', torn), keyFile })).toEqual(
      refused(/torn\.crt is damaged/),
    );
    const locked = path.join(folder, 'locked.key');
    lockKey(keyFile, locked);
    expect(await refusalOf({ certFile, keyFile: locked })).toEqual(refused(/has a passphrase/));
  });

  it('are refused after their time, before it, and when the key is too short', async () => {
    const day = 86_400_000;
    expect(await refusalOf(good, new Date(Date.now() + 3 * day))).toEqual(
      refused(/CN=good expired on/),
    );
    expect(await refusalOf(good, new Date(Date.now() - day))).toEqual(
      refused(/CN=good is valid from .* on/),
    );
    // A chain is no longer valid than the first of it to end.
    const both = `${readFileSync(good.certFile, 'utf8')}${readFileSync(other.certFile, 'utf8')}`;
    const chained = { ...good, certFile: inFolder('both.crt', both) };
    expect(await refusalOf(chained, new Date(Date.now() + 3 * day))).toEqual(refused(/expired/));
    const short = makeCertificate(folder, 'short', ['-newkey', 'rsa:512']);
    expect(await refusalOf(short)).toEqual(refused(/OpenSSL does not take .*too small/));
  });
});

describe.skipIf(!HAS_OPENSSL)('a service with a certificate', () => {
  const cleanUp = cleanUpAtEnd();

  it('answers over https only, says early that a body is too large, and renews', async () => {
    const first = makeCertificate(folder, 'first');
    const second = makeCertificate(folder, 'second');
    const used = {
      certFile: path.join(folder, 'used.crt'),
      keyFile: path.join(folder, 'used.key'),
    };
    const use = ({ certFile, keyFile }: TlsFiles) => {
      copyFileSync(certFile, used.certFile);
      copyFileSync(keyFile, used.keyFile);
    };
    use(first);
    const redis = await testRedis(cleanUp);
    // Node's own fetch would have to be told of the certificate: it is asked by hand below.
    const limits = { documentBytes: 1024 ** 2 };
    const { url, service } = await testServer(redis, cleanUp, { tls: used, limits }, null);
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const [ca, newCa] = [first, second].map(({ certFile }) => readFileSync(certFile, 'utf8'));

    expect(await ask(`${url}/livez`, ca!)).toMatchObject({ status: 200, name: 'first' });
    await expect(ask(`${url}/livez`, newCa!)).rejects.toThrow(/self.signed/);
    const plain = await new Promise((resolve) => {
      const request = http.get(url.replace('https', 'http'), () => resolve('answered'));
      request.on('error', () => resolve('refused'));
    });
    expect(plain).toBe('refused');
    const large = await ask(`${url}/v1/documents`, ca!, Buffer.alloc(5 * 1024 ** 2, 'x'));
    expect(large).toMatchObject({
      status: 413,
      body: expect.stringContaining('GP_REQUEST_TOO_LARGE'),
    });

    use({ certFile: second.certFile, keyFile: first.keyFile });
    await expect(service.renewTls()).rejects.toMatchObject({ code: 'GP_TLS' });
    expect((await ask(`${url}/livez`, ca!)).name).toBe('first');
    use(second);
    await service.renewTls();
    expect((await ask(`${url}/livez`, newCa!)).name).toBe('second');
  });
});

describe.skipIf(!HAS_OPENSSL)('glyphpress serve with a certificate', () => {
  it('reads it again on SIGHUP, and ends on SIGTERM', async () => {
    const data = temporaryFolder();
    const { certFile, keyFile } = makeCertificate(data, 'old');
    const old = readFileSync(certFile, 'utf8');
    const running = startGlyphpress(
      [
        ...['serve', '--port', '0', '--json', '--model', TINY_MODEL, '--workers', '0'],
        ...['--tls-cert', certFile, '--tls-key', keyFile],
      ],
      { env: { GLYPHPRESS_DATA: data, REDIS_URL: undefined } },
    );
    const { child, result } = running;
    onTestFinished(async () => {
      if (child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid!, 'SIGKILL');
      await result;
    });
    let out = '';
    let log = '';
    child.stdout!.on('data', (text: string) => {
      out += text;
    });
    child.stderr!.on('data', (text: string) => {
      log += text;
    });
    await until(() => out.includes('\n') || child.exitCode !== null, 60_000, 'the service');
    const { url } = JSON.parse(out) as { url: string };
    expect((await ask(`${url}/livez`, old)).name).toBe('old');

    const fresh = makeCertificate(data, 'fresh');
    copyFileSync(fresh.certFile, certFile);
    child.kill('SIGHUP');
    await until(() => log.includes('certificate not renewed'), 10_000, 'the refusal');
    expect((await ask(`${url}/livez`, old)).name).toBe('old');

    copyFileSync(fresh.keyFile, keyFile);
    child.kill('SIGHUP');
    await until(() => log.includes('certificate renewed'), 10_000, 'the renewal');
    expect((await ask(`${url}/livez`, readFileSync(certFile, 'utf8'))).name).toBe('fresh');
    child.kill('SIGTERM');
    expect((await result).code).toBe(0);
  });

  it('does not start with half of it', async () => {
    const data = temporaryFolder();
    const { certFile } = makeCertificate(data, 'half');
    const { keyFile } = makeCertificate(data, 'another');
    const env = { GLYPHPRESS_DATA: data, REDIS_URL: undefined };
    const serve = ['serve', '--port', '0', '--model', TINY_MODEL, '--tls-cert', certFile];
    const alone = await glyphpress(serve, { env });
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining('--tls-key') });
    const mixed = await glyphpress([...serve, '--tls-key', keyFile], { env });
    expect(mixed).toMatchObject({ code: 1, stderr: expect.stringContaining('error GP_TLS') });
  });
});
