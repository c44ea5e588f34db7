/** Functions that a model behind a server may call, in OpenAI's form. */

/** JSON Schema of one function. */
export interface ToolDefinition {
  type: 'function';
  function: { name: string; description: string; parameters: Record<string, unknown> };
}

/** As the model wrote it: `arguments` should be JSON, and need not be. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

/** The model's own message, with what it calls. */
export interface ToolCallMessage {
  role: 'assistant';
  content: string | null;
  tool_calls: {
    id: string;
    type: 'function';
    function: { name: string; arguments: string };
  }[];
}

export interface ToolResultMessage {
  role: 'tool';
  tool_call_id: string;
  content: string;
}

export function toolCallMessage(text: string, calls: readonly ToolCall[]): ToolCallMessage {
  return {
    role: 'assistant',
    content: text === '' ? null : text,
    tool_calls: calls.map(({ id, name, arguments: text }) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    })),
  };
}

/** Calls of a message, those left out that name no function. Some servers give no ids. */
export function readToolCalls(message: unknown): ToolCall[] {
  const { tool_calls: calls } = (message ?? {}) as { tool_calls?: unknown };
  if (!Array.isArray(calls)) return [];
  return calls.flatMap((call: unknown, index) => {
    const { id, function: called } = (call ?? {}) as Record<string, unknown>;
    const { name, arguments: given } = (called ?? {}) as Record<string, unknown>;
    if (typeof name !== 'string') return [];
    return [
      {
        id: typeof id === 'string' && id !== '' ? id : `call_${index}`,
        name,
        // A few servers parse it themselves.
        arguments: typeof given === 'string' ? given : JSON.stringify(given ?? {}),
      },
    ];
  });
}
