import { type Command, unknownAction } from './command.ts';
import { COMMON_OPTIONS, type Commands } from './usage.ts';

const SHELLS = { bash, zsh, fish } as const;

/** Prints a script that has the shell complete commands, their words and options. */
export function completionCommand(commands: () => Promise<Commands>): Command {
  return {
    summary: 'print a completion script for bash, zsh or fish',
    forms: {
      bash: 'to be sourced, or put in /etc/bash_completion.d',
      zsh: 'to be put as _holdfast in a folder of fpath',
      fish: 'to be put in ~/.config/fish/completions',
    },
    examples: [
      'source <(holdfast completion bash)',
      'holdfast completion fish > ~/.config/fish/completions/holdfast.fish',
    ],
    async run({ words: [shell = ''] }) {
      if (!Object.hasOwn(SHELLS, shell)) throw unknownAction('completion', Object.keys(SHELLS), shell);
      process.stdout.write(SHELLS[shell as keyof typeof SHELLS](wordsOf(await commands())));
    },
  };
}

/** By command: the words that may follow it, and its options with their dashes. */
type Words = readonly { readonly name: string; readonly summary: string; readonly next: readonly string[] }[];

function wordsOf(commands: Commands): Words {
  return Object.entries(commands).map(([name, { summary, forms = {}, options = {} }]) => {
    // The first word of a form, unless it stands for a file.
    const actions = Object.keys(forms).flatMap((form) => /^[a-z_]+/.exec(form)?.[0] ?? []);
    const flags = Object.keys({ ...options, ...COMMON_OPTIONS }).map((option) => `--${option}`);
    return { name, summary, next: [...new Set([...actions, ...flags])] };
  });
}

function bash(words: Words): string {
  const cases = words.map(({ name, next }) => `    ${name}) words="${next.join(' ')}" ;;\n`).join('');
  return `_holdfast() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  case "\${COMP_WORDS[1]}" in
${cases}    *) words="${words.map(({ name }) => name).join(' ')}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${words.map(({ name }) => name).join(' ')}"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _holdfast holdfast
`;
}

function zsh(words: Words): string {
  const described = words.map(
    ({ name, summary }) => `    '${name}:${summary.replaceAll("'", '').replaceAll(':', ' -')}'\n`,
  );
  const cases = words.map(({ name, next }) => `    ${name}) compadd -- ${next.join(' ')} ;;\n`).join('');
  return `#compdef holdfast
_holdfast() {
  local -a commands=(
${described.join('')}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${cases}  esac
  _files
}
compdef _holdfast holdfast
`;
}

function fish(words: Words): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "\\'")}'`;
  const lines = words.flatMap(({ name, summary, next }) => [
    `complete -c holdfast -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    `complete -c holdfast -n '__fish_seen_subcommand_from ${name}' -a ${quoted(next.join(' '))}`,
  ]);
  return `${lines.join('\n')}\n`;
}
