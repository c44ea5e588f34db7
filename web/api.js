/** The service as the console uses it: requests with a key, and streams of events. */

const KEY = 'glyphpress-key';

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (value) => sessionStorage.setItem(KEY, value),
  /** Names the key without telling it; `none` where no key is needed. */
  id: () => /^gp_([0-9a-f]{16})_/.exec(key.get())?.[1] ?? 'none',
};

export class ApiError extends Error {
  constructor(status, { code, message, hint }) {
    super(hint && !message.includes(hint) ? `${message.replace(/\.$/, '')}. ${hint}` : message);
    this.status = status;
    this.code = code;
  }
}

/** Whatever form the error has: problem details, or OpenAI's envelope. */
async function errorOf(response) {
  const body = await response.json().catch(() => ({}));
  const { code, detail, hint } = body;
  const message = body.error?.message ?? detail ?? `The service answered ${response.status}`;
  return new ApiError(response.status, { code: body.error?.code ?? code, message, hint });
}

export async function request(path, { headers, ...init } = {}) {
  const authorization = key.get() === '' ? {} : { authorization: `Bearer ${key.get()}` };
  const response = await fetch(path, { ...init, headers: { ...authorization, ...headers } });
  if (response.ok) return response;
  throw await errorOf(response);
}

export const getJson = async (path) => (await request(path)).json();

export function postJson(path, body, signal) {
  const headers = { 'content-type': 'application/json' };
  return request(path, { method: 'POST', headers, body: JSON.stringify(body), signal });
}

/** Server-sent events of a response, as {type, data, id}; EventSource cannot send a key. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const blocks = held.split('\n\n');
    held = blocks.pop();
    for (const block of blocks) {
      const event = { type: 'message', data: '', id: null };
      for (const line of block.split('\n')) {
        const [, field, text] = /^(\w*): ?(.*)$/.exec(line) ?? [];
        if (field === 'event') event.type = text;
        else if (field === 'data') event.data += text;
        else if (field === 'id') event.id = text;
      }
      if (event.data !== '') yield event;
    }
  }
}
