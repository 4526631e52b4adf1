"""Completion in bash, zsh and fish: click completes verbs and options, Hydra completes groups, options and keys."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class, shell_complete
from click.shell_completion import split_arg_string as split_words

VARIABLE = "_MARLPIPE_COMPLETE"  # as click derives it from the program's name
BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    for completion in $(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
%(complete_var)s=bash_complete $1 2>/dev/null); do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("$value"); [[ $value == *[=./] ]] && compopt -o nospace ;;
        esac
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
ADDED = "compadd -U -V unsorted -a completions"  # in click's script for zsh
NO_SPACE = """\
compadd -U -V unsorted -S '' -- ${(M)completions:#*[=./]}
        compadd -U -V unsorted -- ${completions:#*[=./]}"""


class Bash(BashComplete):
    """As click's, for words with an equals sign, which bash takes apart."""

    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_words(line)[1:]
        return (words, "") if line[-1:].isspace() else (words[:-1], words[-1] if words else "")

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Without what is left of the last break in the word: bash completes the rest only."""
        _, typed = self.get_completion_args()
        breaks = set(os.environ.get("COMP_WORDBREAKS", "")) & set("=:")
        kept = max((typed.rfind(letter) + 1 for letter in breaks), default=0)
        return f"{item.type},{str(item.value)[kept:] if item.type == 'plain' else item.value}"


class Zsh(ZshComplete):
    """As click's, without a space behind a key, whose value comes next."""

    source_template = ZshComplete.source_template.replace(ADDED, NO_SPACE)


def complete(command: click.Command, name: str) -> int:
    """Answers a shell's question, or prints the script that makes it ask."""
    add_completion_class(Bash)
    add_completion_class(Zsh)
    return shell_complete(command, {}, name, VARIABLE, os.environ[VARIABLE])


Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem[Any]]]


def complete_folders(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem[Any]]:
    """Folders: the shell lists them."""
    return [CompletionItem(typed, type="dir")]


def complete_overrides(config_name: str) -> Completion:
    """Groups, options and keys of a config."""

    def completed(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem[Any]]:
        before = [word for word in context.params.get(parameter.name or "") or () if not word.startswith("-")]
        return [CompletionItem(word) for word in hydra_completions(config_name, before, typed)]

    return completed


def hydra_completions(config_name: str, before: Sequence[str], typed: str) -> list[str]:
    """What the last word may become. Nothing where the words before it make no config.

    Args:
        config_name: of the root config, train or bandit.
        before: words to the left.
        typed: the beginning of the word.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.plugins.completion_plugin import DefaultCompletionPlugin

    from marlpipe.config.compose import compose_api
    from marlpipe.config.folder import config_folder
    from marlpipe.config.naming import register_resolvers

    register_resolvers()
    with compose_api(config_folder()):
        plugin = DefaultCompletionPlugin(GlobalHydra.instance().config_loader())
        try:  # Hydra's plugins print what `_query` returns, in the form of their shell
            return list(plugin._query(config_name, " ".join([*before, typed])))
        except Exception as error:  # a question of a shell has no place for an error
            print(error, file=sys.stderr)
            return []
