/** Those who use the service while it suffers. They insist, as a client with retries does. */

import { createHash } from 'node:crypto';
import type { PlannedDocument, Random } from './plan.js';

export interface Taken {
  id: string;
  document: PlannedDocument;
  /** Null once its owner deleted it. */
  wanted: boolean;
  /** SHA-256 of its bytes. */
  hash: string;
  takenAtMs: number;
}

/** What a client of a service in trouble must expect; anything else is a fault. */
const PASSING = new Set([409, 429, 503, 507]);

const TRY_AGAIN_MS = 250;
const REQUEST_TIMEOUT_MS = 30_000;
const INSIST_MS = 180_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class Clients {
  readonly taken: Taken[] = [];
  /** Answers by status, `lost` where the connection broke. */
  readonly answers: Record<string, number> = {};
  readonly problems: string[] = [];
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Hands a document in until it is taken, under one idempotency key. */
  async submit(document: PlannedDocument, key: string): Promise<Taken> {
    const query = new URLSearchParams({
      render: JSON.stringify(RENDER),
      priority: document.priority,
    });
    const answer = await this.insist(
      `/v1/documents?${query}`,
      {
        method: 'POST',
        headers: { 'content-type': document.mediaType, 'idempotency-key': key },
        body: document.body,
      },
      [200, 202],
    );
    const { id } = (await answer.json()) as { id: string };
    const taken = {
      id,
      document,
      wanted: true,
      hash: createHash('sha256').update(document.body).digest('hex'),
      takenAtMs: Date.now(),
    };
    this.taken.push(taken);
    const { fate } = document;
    if (fate) {
      await sleep(fate.afterMs);
      if (fate.act === 'cancel') {
        // 422: it was finished before.
        await this.insist(`/v1/documents/${id}/cancel`, { method: 'POST' }, [200, 422]);
      } else {
        await this.delete(taken);
      }
    }
    return taken;
  }

  async delete(taken: Taken): Promise<void> {
    await this.insist(`/v1/documents/${taken.id}`, { method: 'DELETE' }, [204, 404]);
    taken.wanted = false;
  }

  /** Asks whatever is there, until the signal ends it. */
  async askOnAndOn(dice: Random, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(200);
      if (this.taken.length === 0) continue;
      const { id } = dice.pick(this.taken);
      const answer = await this.#try('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: MODEL,
          max_tokens: 4,
          messages: [{ role: 'user', content: 'Which gate?' }],
          glyphpress: { document_ids: [id], wait_seconds: 0 },
        }),
      });
      if (!answer) continue;
      const { status } = answer;
      const { error } = (await answer.json().catch(() => ({}))) as { error?: { code?: string } };
      // 404: deleted; 422: failed or cancelled. A damaged context is told, never answered from.
      const told = [200, 404, 422].includes(status) || error?.code === 'GP_ARTIFACT_DAMAGED';
      if (!told && !PASSING.has(status)) this.#unexpected('a question', status, error?.code);
    }
  }

  /** @throws when no answer that counts comes in time */
  async insist(path: string, init: RequestInit, wanted: readonly number[]): Promise<Response> {
    const end = Date.now() + INSIST_MS;
    for (;;) {
      const answer = await this.#try(path, init);
      if (answer && wanted.includes(answer.status)) return answer;
      if (answer && !PASSING.has(answer.status)) {
        const { code } = (await answer.json().catch(() => ({}))) as { code?: string };
        this.#unexpected(`${init.method ?? 'GET'} ${path.split('?')[0]}`, answer.status, code);
      }
      if (Date.now() > end) throw new Error(`${path}: no answer that counts in ${INSIST_MS} ms`);
      await sleep(TRY_AGAIN_MS);
    }
  }

  /** @returns null where the connection broke */
  async #try(path: string, init: RequestInit): Promise<Response | null> {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const answer = await fetch(`${this.url}${path}`, { ...init, signal }).catch(() => null);
    const status = answer ? String(answer.status) : 'lost';
    this.answers[status] = (this.answers[status] ?? 0) + 1;
    return answer;
  }

  #unexpected(what: string, status: number, code = 'no code'): void {
    this.problems.push(`${what.replace(/doc_[0-9a-f]+/, '{id}')}: ${status} ${code}`);
  }
}

export const MODEL = 'tiny-glm4v';

/** Small pages, so that a short text has several. */
const RENDER = {
  'page-size': '196,112',
  'margin-x': 4,
  'margin-y': 4,
  'font-family': 'DejaVu Sans',
  alignment: 'LEFT',
  'grid-lock': false,
};
