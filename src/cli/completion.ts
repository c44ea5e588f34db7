/** `glyphpress completion`: what a shell needs to complete commands and options. */

import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/** To be called when all other commands are there: what is completed is what they are. */
export function registerCompletion(program: Command): void {
  tab(program, { completionCommandName: 'completion' });
  program.commands
    .find((command) => command.name() === 'completion')
    ?.description(
      'print a script for bash, zsh, fish or powershell that completes commands and options',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ glyphpress completion bash > ~/.local/share/bash-completion/completions/glyphpress
  $ glyphpress completion zsh > "\${fpath[1]}/_glyphpress"
  $ glyphpress completion fish > ~/.config/fish/completions/glyphpress.fish`,
    );
}
