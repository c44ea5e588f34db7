/** Tells the services of a tenant what became of its documents and answers (Standard Webhooks 1.0). */

import { createHmac, randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import {
  type Delivery,
  DeliveryQueue,
  type DeliveryQueueOptions,
} from '../queue/delivery-queue.js';
import { KEY_PREFIX } from '../queue/key-prefix.js';
import { OUTBOX_CHANNEL, readOutbox, removeFromOutbox, WEBHOOKS_KEY } from '../queue/outbox.js';
import { sha256Hex } from '../sha256.js';
import { checkAddress, type OutboundPolicy, post } from './outbound.js';

export const WEBHOOK_EVENTS = [
  'document.completed',
  'document.failed',
  'document.cancelled',
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.cancelled',
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** What a client sends to see whether its service listens. */
const TEST_EVENT = 'webhook.test';

export interface Webhook {
  id: string;
  tenant: string;
  url: string;
  events: WebhookEvent[];
  /** Unix ms. */
  createdAt: number;
  /** Since when nothing is sent: its service said that it is gone. */
  disabledAt: number | null;
}

interface StoredWebhook extends Webhook {
  /** It signs, so it is kept as it is. */
  secret: string;
  /** Signs too until then, so that a service can be told the new one in its time. */
  previous: { secret: string; until: number } | null;
}

/** One try to deliver an event. */
export interface Attempt {
  event: string;
  type: string;
  attempt: number;
  at: number;
  ms: number;
  /** HTTP status; null without a response. */
  status: number | null;
  error: string | null;
}

export interface WebhookOptions extends DeliveryQueueOptions {
  policy: OutboundPolicy;
  version: string;
  onError?: (error: unknown) => void;
}

const MAX_PER_TENANT = 20;
const MAX_LOG = 100;
const LOG_MS = 7 * 24 * 3_600_000;
const PREVIOUS_MS = 24 * 3_600_000;
const BATCH = 100;
/** Should a message about new entries go unheard. */
const LOOK_AGAIN_MS = 5_000;

const ID = /^wh_[0-9a-f]{24}$/;
const logOf = (id: string) => `${KEY_PREFIX}:webhook-log:${id}`;

export class Webhooks {
  readonly #redis: Redis;
  readonly #options: WebhookOptions;
  readonly #queue: DeliveryQueue;
  readonly #timer: NodeJS.Timeout;
  #pumping: Promise<void> | null = null;
  #again = false;

  private constructor(connections: { redis: Redis; workerRedis: Redis }, options: WebhookOptions) {
    this.#redis = connections.redis;
    this.#options = options;
    const deliver = (...args: [Delivery, number, AbortSignal]) => this.#deliver(...args);
    this.#queue = new DeliveryQueue(connections, deliver, options);
    this.#timer = setInterval(() => this.#pump(), LOOK_AGAIN_MS);
    this.#timer.unref();
  }

  static async open(
    connections: { redis: Redis; workerRedis: Redis; subscriber: Redis },
    options: WebhookOptions,
  ): Promise<Webhooks> {
    const webhooks = new Webhooks(connections, options);
    connections.subscriber.on('message', (channel) => {
      if (channel === OUTBOX_CHANNEL) webhooks.#pump();
    });
    await connections.subscriber.subscribe(OUTBOX_CHANNEL);
    return webhooks;
  }

  /** Of what is to be delivered; for those who look into it. */
  get queue() {
    return this.#queue.queue;
  }

  /**
   * @returns also the secret, which cannot be had again
   * @throws {GlyphpressError} GP_WEBHOOK_ADDRESS; GP_REQUEST for too many
   */
  async create(
    tenant: string,
    { url, events }: { url: string; events: readonly WebhookEvent[] },
  ): Promise<Webhook & { secret: string }> {
    const address = checkAddress(url, this.#options.policy);
    const mine = await this.list(tenant);
    if (mine.length >= MAX_PER_TENANT) {
      throw new GlyphpressError('GP_REQUEST', {
        message: `There are ${mine.length} webhooks; a tenant has at most ${MAX_PER_TENANT}`,
        hint: 'Delete one that is no longer needed.',
        details: { param: 'url', limit: MAX_PER_TENANT },
      });
    }
    const webhook: StoredWebhook = {
      id: `wh_${randomBytes(12).toString('hex')}`,
      tenant,
      url: address.href,
      events: [...new Set(events)],
      createdAt: Date.now(),
      disabledAt: null,
      secret: newSecret(),
      previous: null,
    };
    await this.#store(webhook);
    return { ...shown(webhook), secret: webhook.secret };
  }

  async list(tenant: string): Promise<Webhook[]> {
    return (await this.#all())
      .filter((webhook) => webhook.tenant === tenant)
      .sort((a, b) => a.createdAt - b.createdAt)
      .map(shown);
  }

  /** @throws {GlyphpressError} GP_WEBHOOK_UNKNOWN, also for what belongs to another tenant */
  async get(tenant: string, id: string): Promise<Webhook> {
    return shown(await this.#get(tenant, id));
  }

  /** A new secret; the one before signs too for a day. */
  async rotate(tenant: string, id: string): Promise<Webhook & { secret: string }> {
    const webhook = await this.#get(tenant, id);
    const previous = { secret: webhook.secret, until: Date.now() + PREVIOUS_MS };
    const rotated = { ...webhook, secret: newSecret(), previous, disabledAt: null };
    await this.#store(rotated);
    return { ...shown(rotated), secret: rotated.secret };
  }

  async remove(tenant: string, id: string): Promise<void> {
    await this.#get(tenant, id);
    await this.#redis.hdel(WEBHOOKS_KEY, id);
    await this.#redis.del(logOf(id));
  }

  /** Sends an event that says nothing, the same way as any other. */
  async test(tenant: string, id: string): Promise<string> {
    const webhook = await this.#get(tenant, id);
    const event = `evt_${randomBytes(12).toString('hex')}`;
    const type = TEST_EVENT;
    await this.#queue.add({
      tenant,
      webhook: id,
      event,
      type,
      object: webhook.id,
      createdAt: Date.now(),
    });
    return event;
  }

  /** The last tries, the newest first. */
  async attempts(tenant: string, id: string): Promise<Attempt[]> {
    await this.#get(tenant, id);
    const lines = await this.#redis.lrange(logOf(id), 0, -1);
    return lines.map((line) => JSON.parse(line) as Attempt);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#pumping;
    await this.#queue.close();
  }

  /** From the outbox into the queue. Several processes may do so at once: equal messages are one. */
  #pump(): void {
    this.#again = true;
    this.#pumping ??= (async () => {
      while (this.#again) {
        this.#again = false;
        await this.#empty();
      }
    })()
      .catch((error) => this.#options.onError?.(error))
      .finally(() => {
        this.#pumping = null;
      });
  }

  async #empty(): Promise<void> {
    for (;;) {
      const entries = await readOutbox(this.#redis, BATCH);
      if (entries.length === 0) return;
      const webhooks = await this.#all();
      for (const { tenant, type, object, at } of entries) {
        for (const webhook of webhooks) {
          if (webhook.tenant !== tenant || webhook.disabledAt !== null) continue;
          if (!(webhook.events as string[]).includes(type)) continue;
          const event = eventId(tenant, object, type);
          await this.#queue.add({
            tenant,
            webhook: webhook.id,
            event,
            type,
            object,
            createdAt: at,
          });
        }
      }
      await removeFromOutbox(
        this.#redis,
        entries.map(({ id }) => id),
      );
    }
  }

  async #deliver(delivery: Delivery, attempt: number, signal: AbortSignal): Promise<boolean> {
    const { tenant, event, type, object, createdAt } = delivery;
    const webhook = await this.#get(tenant, delivery.webhook).catch(() => null);
    if (!webhook || (webhook.disabledAt !== null && type !== TEST_EVENT)) return false;
    const body = JSON.stringify({
      id: event,
      object: 'event',
      type,
      created_at: Math.floor(createdAt / 1000),
      data: { id: object },
    });
    const started = Date.now();
    const note = (status: number | null, error: string | null) =>
      this.#note(webhook.id, {
        event,
        type,
        attempt,
        at: started,
        ms: Date.now() - started,
        status,
        error,
      });
    try {
      const headers = {
        'content-type': 'application/json',
        'user-agent': `glyphpress/${this.#options.version}`,
        ...signatureHeaders(event, body, secretsOf(webhook), started),
      };
      const { status } = await post(webhook.url, body, headers, this.#options.policy, signal);
      if (status >= 200 && status < 300) {
        await note(status, null);
        return true;
      }
      const error = status >= 300 && status < 400 ? 'redirects are not followed' : null;
      await note(status, error);
      if (status === 410) {
        await this.#store({ ...webhook, disabledAt: Date.now() });
        return false;
      }
      throw new GlyphpressError('GP_WEBHOOK_DELIVERY', {
        message: `The service answered ${status}`,
        hint: 'It is tried again by itself.',
        details: { status },
      });
    } catch (error) {
      const { code, message, details } = error as GlyphpressError;
      if (details?.status === undefined) await note(null, `${code}: ${message}`);
      throw error;
    }
  }

  async #note(id: string, attempt: Attempt): Promise<void> {
    await this.#redis
      .multi()
      .lpush(logOf(id), JSON.stringify(attempt))
      .ltrim(logOf(id), 0, MAX_LOG - 1)
      .pexpire(logOf(id), LOG_MS)
      .exec();
  }

  async #all(): Promise<StoredWebhook[]> {
    const stored = await this.#redis.hvals(WEBHOOKS_KEY);
    return stored.map((text) => JSON.parse(text) as StoredWebhook);
  }

  async #get(tenant: string, id: string): Promise<StoredWebhook> {
    const text = ID.test(id) ? await this.#redis.hget(WEBHOOKS_KEY, id) : null;
    const webhook = text === null ? null : (JSON.parse(text) as StoredWebhook);
    if (webhook?.tenant === tenant) return webhook;
    throw new GlyphpressError('GP_WEBHOOK_UNKNOWN', {
      message: `There is no webhook ${JSON.stringify(id.slice(0, 80))}`,
      hint: 'GET /v1/webhooks lists them.',
      details: { param: 'webhook' },
    });
  }

  async #store(webhook: StoredWebhook): Promise<void> {
    await this.#redis.hset(WEBHOOKS_KEY, webhook.id, JSON.stringify(webhook));
  }
}

/** @param secrets `whsec_` and base64; each signs, so that either verifies */
export function signatureHeaders(
  id: string,
  body: string,
  secrets: readonly string[],
  now: number,
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return `v1,${mac}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

function secretsOf({ secret, previous }: StoredWebhook): string[] {
  return previous && previous.until > Date.now() ? [secret, previous.secret] : [secret];
}

/** The same for every try, so that a service can tell what it knows already. */
function eventId(tenant: string, object: string, type: string): string {
  const hash = sha256Hex(`${tenant} ${object} ${type}`);
  return `evt_${hash.slice(0, 24)}`;
}

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

function shown({ secret: _, previous: __, ...webhook }: StoredWebhook): Webhook {
  return webhook;
}
