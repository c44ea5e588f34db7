/** Reasoning models may think aloud first, and mark what they answer in the end. */
export function finalAnswer(text: string): string {
  const thought = text.lastIndexOf('</think>');
  const rest = thought < 0 ? text : text.slice(thought + '</think>'.length);
  const marked =
    /<answer>([\s\S]*?)(<\/answer>|$)/.exec(rest) ??
    /<\|begin_of_box\|>([\s\S]*?)(<\|end_of_box\|>|$)/.exec(rest);
  return (marked ? marked[1]! : rest).trim();
}
