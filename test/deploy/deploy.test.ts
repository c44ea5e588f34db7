/** What can be said of image, compose file and chart without an engine that runs them. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { renderChart } from '../support/chart.js';
import { ROOT } from '../support/repository.js';

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

type Json = Record<string, unknown>;
// biome-ignore lint/suspicious/noExplicitAny: a manifest is looked into by paths
type Manifest = any;

describe('the Dockerfile', () => {
  const text = read('Dockerfile').replace(/\\\n\s*/g, ' ');
  const steps = text
    .split('\n')
    .filter((line) => /^[A-Z]+\s/.test(line))
    .map((line) => ({ word: line.split(/\s/)[0]!, rest: line.replace(/^\S+\s+/, '') }));
  const last = steps.slice(steps.findLastIndex(({ word }) => word === 'FROM'));
  const of = (word: string) => last.filter((step) => step.word === word).map(({ rest }) => rest);

  it('starts from a pinned image of the Node that the package asks for', () => {
    const [, image] = /^ARG NODE_IMAGE=(\S+)$/m.exec(text)!;
    expect(image).toMatch(/^node:\d+\.\d+\.\d+-[a-z]+-slim$/);
    const [major, minor] = image!.slice('node:'.length).split('.').map(Number);
    expect([major, minor! >= 19]).toEqual([20, true]);
    const from = steps.filter(({ word }) => word === 'FROM').map(({ rest }) => rest.split(' ')[0]);
    expect(new Set(from)).toEqual(new Set([`\${NODE_IMAGE}`]));
  });

  it('runs as nobody in particular, under an init, and says whether it lives', () => {
    expect(of('USER')).toEqual(['10001:10001']);
    expect(of('ENTRYPOINT')[0]).toContain('tini');
    expect(of('HEALTHCHECK')[0]).toContain('/livez');
    for (const word of ['ENTRYPOINT', 'CMD']) {
      // The form of a list: signals reach the process, and no shell reads its arguments.
      expect(JSON.parse(of(word)[0]!)).toBeInstanceOf(Array);
    }
  });

  it('installs what the lock file says, nothing recommended, and leaves no lists', () => {
    const runs = steps.filter(({ word }) => word === 'RUN').map(({ rest }) => rest);
    expect(runs.some((run) => run === 'npm ci')).toBe(true);
    for (const run of runs.filter((run) => run.includes('apt-get install'))) {
      expect(run).toContain('--no-install-recommends');
      expect(run).toContain('rm -rf /var/lib/apt/lists/*');
    }
    expect(text).not.toMatch(/\bADD\b|sudo|curl|wget|:latest|chmod 777/);
    expect(text).not.toMatch(/(ENV|ARG)[^\n]*(SECRET|PASSWORD|TOKEN)/i);
  });

  it('copies what is there and what .dockerignore lets through', () => {
    const through = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    const copied = steps
      .filter(({ word, rest }) => word === 'COPY' && !rest.startsWith('--from'))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
    for (const file of copied) {
      expect([file, existsSync(path.join(ROOT, file))]).toEqual([file, true]);
      expect(through).toContain(`!${file}`);
    }
    // What the package ships is in the image too, but for what is there to be read.
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    const toRead = /^(docs|samples|deploy|.*\.md)$/;
    for (const file of files.filter((name) => !/^(!|dist$)/.test(name) && !toRead.test(name)))
      expect(copied).toContain(file);
    expect(copied).toContain('THIRD_PARTY.md');
  });
});

describe('the compose file', () => {
  const compose: Manifest = parse(read('compose.yaml'), { merge: true });

  it('has the three services, each without rights and without a writable root', () => {
    expect(Object.keys(compose.services).sort()).toEqual(['api', 'redis', 'worker']);
    for (const service of Object.values<Json>(compose.services)) {
      expect(service).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
      });
      expect(service).toHaveProperty('mem_limit');
      expect(service).toHaveProperty('stop_grace_period');
      expect(service.privileged).toBeUndefined();
      if (service.image !== 'glyphpress:0.1.0') expect(service.image).toMatch(/:\d+\.\d+\.\d+/);
    }
  });

  it('keeps Redis as the queue needs it, and workers from the outside', () => {
    const { api, worker, redis } = compose.services;
    expect(redis.command.join(' ')).toContain('--appendonly yes');
    expect(redis.command.join(' ')).toContain('--maxmemory-policy noeviction');
    expect(redis.ports).toBeUndefined();
    expect(compose.networks.inside.internal).toBe(true);
    expect([worker.networks, redis.networks]).toEqual([['inside'], ['inside']]);
    expect(api.ports).toEqual(['127.0.0.1:8747:8747']);
    expect(api.volumes).toEqual(worker.volumes);
    const named = Object.keys(compose.volumes);
    for (const volume of [...api.volumes, ...redis.volumes])
      expect(named).toContain(volume.split(':')[0]);
    expect(api.image).toBe(`glyphpress:${JSON.parse(read('package.json')).version}`);
  });
});

describe('what is laid over the compose file', () => {
  const base: Manifest = parse(read('compose.yaml'), { merge: true });
  const over = (name: string): Manifest => parse(read(`deploy/${name}`), { merge: true });

  it('for an object store: holds no key, and tells API and workers the same', () => {
    const { services, secrets } = over('compose.store.yaml');
    expect(Object.keys(services).sort()).toEqual(['api', 'worker']);
    expect(services.api).toEqual(services.worker);
    expect(Object.keys(services.api.environment)).not.toContain('AWS_SECRET_ACCESS_KEY');
    expect(services.api.environment.AWS_SHARED_CREDENTIALS_FILE).toBe('/run/secrets/aws');
    expect(secrets.aws.file).toMatch(/aws-credentials/);
    for (const network of services.worker.networks)
      expect(Object.keys(base.networks)).toContain(network);
  });

  it('for a proxy: is hardened too, and the only network that is believed', () => {
    const { services, networks } = over('compose.proxy.yaml');
    expect(services.proxy).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    expect(services.proxy.image).toMatch(/:\d+\.\d+\.\d+/);
    expect(services.proxy.networks).toEqual(['front']);
    expect(services.api.environment.GLYPHPRESS_TRUST_PROXY).toBe(
      networks.front.ipam.config[0].subnet,
    );
    expect(services.api.networks).toEqual([...base.services.api.networks, 'front']);
    const [mounted] = services.proxy.volumes;
    expect(existsSync(path.join(ROOT, mounted.split(':')[0]))).toBe(true);
    const caddyfile = read('deploy/proxy/Caddyfile');
    for (const name of Object.keys(services.proxy.environment))
      expect(caddyfile).toContain(`{$${name}:`);
  });
});

describe('the chart', () => {
  const folder = 'deploy/helm/glyphpress';
  const chart = parse(read(`${folder}/Chart.yaml`)) as Json;
  const values = () => parse(read(`${folder}/values.yaml`)) as Manifest;
  const helpers = read(`${folder}/templates/_helpers.tpl`);
  const templates = readdirSync(path.join(ROOT, folder, 'templates'));

  const manifests = (change: (values: Manifest) => void = () => {}): Manifest[] => {
    const given = values();
    change(given);
    const scope = {
      Values: given,
      Release: { Name: 'test', Service: 'Helm' },
      Chart: { ...chart, AppVersion: chart.appVersion },
    };
    return templates
      .filter((file) => file.endsWith('.yaml'))
      .flatMap((file) => {
        const text = renderChart(helpers, read(`${folder}/templates/${file}`), scope);
        return parseAllDocuments(text).map((document) => {
          expect(document.errors).toEqual([]);
          return document.toJS();
        });
      });
  };
  const of = (all: Manifest[], kind: string, name: string) =>
    all.find((one) => one.kind === kind && one.metadata.name === `test-glyphpress${name}`);

  it('is of this version', () => {
    const { version } = JSON.parse(read('package.json'));
    expect(chart).toMatchObject({ apiVersion: 'v2', version, appVersion: version });
    expect(values().image.tag).toBe(version);
  });

  it('makes whole objects, whose selectors find their pods', () => {
    const all = manifests();
    for (const one of all) {
      expect(one).toMatchObject({
        apiVersion: expect.any(String),
        kind: expect.any(String),
        metadata: { name: expect.stringMatching(/^test-glyphpress/), labels: expect.any(Object) },
      });
    }
    const pods = all.filter(({ spec }) => spec.template).map(({ spec }) => spec.template.metadata);
    const selectors = all
      .map(({ kind, spec }) =>
        kind === 'Service' ? spec.selector : (spec.selector ?? spec.podSelector)?.matchLabels,
      )
      .filter(Boolean);
    expect(selectors.length).toBeGreaterThan(5);
    for (const selector of selectors)
      expect(pods.filter(({ labels }) => matches(labels, selector))).toHaveLength(1);
    expect(all.map(({ kind }) => kind)).toContain('PodDisruptionBudget');
  });

  it('runs everything without rights, within limits, and lets it end', () => {
    for (const { spec } of manifests().filter(({ spec }) => spec.template)) {
      const pod = spec.template.spec;
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(30);
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.image).toMatch(/:\d+\.\d+\.\d+/);
        expect(container.resources).toMatchObject({
          requests: expect.any(Object),
          limits: { memory: expect.stringMatching(/Gi$/) },
        });
        for (const argument of container.args) expect(argument).toBeTypeOf('string');
      }
    }
  });

  it('asks the API whether it is ready, and keeps workers from everything but Redis', () => {
    const all = manifests();
    const [api] = of(all, 'Deployment', '-api').spec.template.spec.containers;
    expect(api.readinessProbe.httpGet.path).toBe('/readyz');
    expect(api.livenessProbe.httpGet.path).toBe('/livez');
    const { spec } = of(all, 'NetworkPolicy', '-worker');
    expect(spec.ingress).toEqual([]);
    const ports = spec.egress.flatMap(({ ports }: Manifest) =>
      ports.map((one: Manifest) => one.port),
    );
    expect(new Set(ports)).toEqual(new Set([53, 6379]));
  });

  it('keeps documents in a store, with a key that only a secret holds, and then needs no claim', () => {
    const all = manifests((values) => {
      values.store.url = 's3://documents/glyphpress';
      values.store.endpoint = 'https://minio.storage:9000';
      values.store.credentialsSecret = 'store-key';
      values.store.egress = [{ ports: [{ port: 9000, protocol: 'TCP' }] }];
    });
    expect(all.some(({ kind }) => kind === 'PersistentVolumeClaim')).toBe(false);
    for (const name of ['-api', '-worker']) {
      const pod = of(all, 'Deployment', name).spec.template.spec;
      expect(pod.volumes[0]).toEqual({ name: 'data', emptyDir: { sizeLimit: '8Gi' } });
      const { env } = pod.containers[0];
      expect(env).toContainEqual({ name: 'GLYPHPRESS_STORE', value: 's3://documents/glyphpress' });
      expect(env).toContainEqual({
        name: 'GLYPHPRESS_STORE_ENDPOINT',
        value: 'https://minio.storage:9000',
      });
      for (const secret of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
        expect(env).toContainEqual({
          name: secret,
          valueFrom: { secretKeyRef: { name: 'store-key', key: secret } },
        });
      }
    }
    const { egress } = of(all, 'NetworkPolicy', '-worker').spec;
    expect(egress.at(-1)).toEqual({ ports: [{ port: 9000, protocol: 'TCP' }] });
  });

  it('takes a role in place of a key', () => {
    const all = manifests((values) => {
      values.store.url = 's3://documents';
      values.serviceAccount = 'glyphpress-store';
    });
    for (const name of ['-api', '-worker']) {
      const pod = of(all, 'Deployment', name).spec.template.spec;
      expect(pod.serviceAccountName).toBe('glyphpress-store');
      expect(JSON.stringify(pod)).not.toMatch(/AWS_(ACCESS|SECRET)/);
    }
    expect(JSON.stringify(manifests())).not.toMatch(/AWS_|serviceAccountName|GLYPHPRESS_STORE/);
  });

  it('has a way in from outside, which holds no events back and is believed', () => {
    expect(manifests().some(({ kind }) => kind === 'Ingress')).toBe(false);
    const all = manifests((values) => {
      values.ingress.enabled = true;
      values.ingress.tlsSecret = 'docs-tls';
      values.api.trustProxy = '10.244.0.0/16';
    });
    const { metadata, spec } = of(all, 'Ingress', '');
    const [rule] = spec.rules;
    const { service } = rule.http.paths[0].backend;
    expect(spec.tls).toEqual([{ hosts: [rule.host], secretName: 'docs-tls' }]);
    const ports = of(all, 'Service', '').spec.ports.map(({ name }: Manifest) => name);
    expect(service.name).toBe(of(all, 'Service', '').metadata.name);
    expect(ports).toContain(service.port.name);
    for (const [name, value] of Object.entries(metadata.annotations)) {
      expect([name, typeof value]).toEqual([name, 'string']);
    }
    expect(metadata.annotations).toMatchObject({
      'nginx.ingress.kubernetes.io/proxy-buffering': 'off',
      'nginx.ingress.kubernetes.io/proxy-request-buffering': 'off',
    });
    const { env } = of(all, 'Deployment', '-api').spec.template.spec.containers[0];
    expect(env).toContainEqual({ name: 'GLYPHPRESS_TRUST_PROXY', value: '10.244.0.0/16' });
  });

  it('takes a Redis of elsewhere, and scales workers by their load', () => {
    const all = manifests((values) => {
      values.redis = { ...values.redis, enabled: false, urlSecret: 'redis-url' };
      values.worker.autoscaling.enabled = true;
    });
    expect(all.some(({ kind }) => kind === 'StatefulSet')).toBe(false);
    const worker = of(all, 'Deployment', '-worker').spec;
    expect(worker.template.spec.containers[0].env[0]).toEqual({
      name: 'REDIS_URL',
      valueFrom: { secretKeyRef: { name: 'redis-url', key: 'url' } },
    });
    expect(worker.replicas).toBeUndefined();
    expect(of(all, 'HorizontalPodAutoscaler', '-worker').spec.scaleTargetRef.name).toBe(
      'test-glyphpress-worker',
    );
    expect(() =>
      manifests((values) => {
        values.redis.enabled = false;
      }),
    ).toThrow(/urlSecret is required/);
  });
});

function matches(labels: Record<string, string>, selector: Record<string, string>): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}
