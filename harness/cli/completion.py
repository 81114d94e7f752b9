"""``polygraph completion SHELL``: what a shell needs to complete our command lines.

The scripts ask the command itself (:mod:`harness.cli.completing`) and complete paths themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from harness.cli.completing import SHELLS
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID

_BASH: Final = """\
_polygraph_completion() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
            *) COMPREPLY+=("${line%%$'\\t'*}") ;;
        esac
    done < <(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" _POLYGRAPH_COMPLETE=bash "$1" 2>/dev/null)
}
complete -o nosort -F _polygraph_completion polygraph
"""
_ZSH: Final = """\
#compdef polygraph
_polygraph() {
    local -a described plain
    local line value
    while IFS= read -r line; do
        case $line in
            file) _files ;;
            dir) _files -/ ;;
            *$'\\t'*) value=${line%%$'\\t'*}
                described+=("${value//:/\\\\:}:${line#*$'\\t'}") ;;
            *) plain+=("$line") ;;
        esac
    done < <(COMP_WORDS="${(F)${(@Q)words[1,CURRENT]}}" _POLYGRAPH_COMPLETE=zsh "${(Q)words[1]}" \\
        2>/dev/null)
    (( $#described )) && _describe -V polygraph described -U
    (( $#plain )) && compadd -U -V polygraph -a plain
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _polygraph "$@"
else
    compdef _polygraph polygraph
fi
"""
_FISH: Final = """\
function __polygraph_complete
    set -l words (commandline -opc)
    set -lx COMP_WORDS (string join \\n -- $words | string collect)
    set -lx COMP_CURRENT (commandline -ct)
    set -lx _POLYGRAPH_COMPLETE fish
    for line in ($words[1] 2>/dev/null)
        switch $line
            case file
                __fish_complete_path (commandline -ct)
            case dir
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c polygraph -f -a '(__polygraph_complete)'
"""
SCRIPTS: Final[Mapping[str, str]] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command("completion", cls=Verb)
@click.argument("shell", type=click.Choice(SHELLS))
def VERB(shell: str) -> int:
    """Print what SHELL (bash, zsh or fish) needs to complete polygraph's command lines.

    bash: eval "$(polygraph completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc,
    after compinit. fish: polygraph completion fish > ~/.config/fish/completions/polygraph.fish.
    """
    say(SCRIPTS[shell], end="")
    return EXIT_VALID
