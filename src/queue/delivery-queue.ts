/** Messages to other services: tried again with growing pauses, by whichever process is there. */

import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { BULL_PREFIX } from './compression-queue.js';

/** Ids only: what they name is looked up when the message is sent. */
export interface Delivery {
  tenant: string;
  webhook: string;
  event: string;
  type: string;
  /** Id of the document or response. */
  object: string;
  /** Unix ms. */
  createdAt: number;
}

export interface DeliveryQueueOptions {
  /** Pause before the second try; doubled with each. @defaultValue 5,000 */
  backoffMs?: number;
  /** @defaultValue 10: the last one after about an hour and a half */
  attempts?: number;
}

const NAME = 'webhooks';
const CONCURRENCY = 8;

/** @param attempt from 1. A false answer ends the tries. */
export type Deliver = (
  delivery: Delivery,
  attempt: number,
  signal: AbortSignal,
) => Promise<boolean>;

export class DeliveryQueue {
  readonly #queue: Queue<Delivery>;
  readonly #worker: Worker<Delivery>;
  readonly #options: Required<DeliveryQueueOptions>;
  readonly #closing = new AbortController();

  /**
   * @param redis for requests
   * @param workerRedis that waits for its commands
   */
  constructor(
    { redis, workerRedis }: { redis: Redis; workerRedis: Redis },
    deliver: Deliver,
    options: DeliveryQueueOptions = {},
  ) {
    this.#options = { backoffMs: 5_000, attempts: 10, ...options };
    this.#queue = new Queue<Delivery>(NAME, { connection: redis, prefix: BULL_PREFIX });
    this.#worker = new Worker<Delivery>(NAME, (job) => this.#run(job, deliver), {
      connection: workerRedis,
      prefix: BULL_PREFIX,
      concurrency: CONCURRENCY,
    });
    // A Redis that is away is met by whoever calls; without listeners it would end the process.
    this.#queue.on('error', () => {});
    this.#worker.on('error', () => {});
  }

  /** For those who look into it. */
  get queue(): Queue {
    return this.#queue;
  }

  /** The same event goes to the same webhook once, however often it is added. */
  async add(delivery: Delivery): Promise<void> {
    const { attempts, backoffMs } = this.#options;
    await this.#queue.add(delivery.type, delivery, {
      jobId: `${delivery.webhook}.${delivery.event}`,
      attempts,
      backoff: { type: 'exponential', delay: backoffMs, jitter: 0.5 },
      removeOnComplete: true,
      removeOnFail: { age: 24 * 3_600, count: 1_000 },
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#worker.close();
    await this.#queue.close();
  }

  async #run(job: Job<Delivery>, deliver: Deliver): Promise<void> {
    const goesOn = await deliver(job.data, job.attemptsMade + 1, this.#closing.signal);
    if (!goesOn) throw new UnrecoverableError('not wanted any more');
  }
}
