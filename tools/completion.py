"""Print the completion of `visiond` for bash, made from its own command line: verbs, options, choices, files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from visiond.cli import _parser

_HEAD = """\
# bash completion of visiond; made by its installer from its command line
_visiond() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]:-} options= choices=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "%s" -- "$word")
        return
    fi
    case $verb:${COMP_WORDS[COMP_CWORD - 1]} in
"""
_MIDDLE = """\
    esac
    if [ -n "$choices" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
        return
    fi
    case $verb in
"""
_TAIL = """\
    esac
    case $word in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
        *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}
complete -o filenames -F _visiond visiond
"""


def completion(parser: argparse.ArgumentParser) -> str:
    """Return the script for a parser with verbs, each with options of its own."""
    (verbs,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    names = " ".join([*sorted(verbs), *_options(parser)])
    chosen = [line for verb, its in sorted(verbs.items()) for line in _choices(verb, its)]
    listed = [f'        {verb}) options="{" ".join(_options(its))}" ;;\n' for verb, its in sorted(verbs.items())]
    return _HEAD % names + "".join(chosen) + _MIDDLE + "".join(listed) + _TAIL


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in parser._actions for name in action.option_strings if name.startswith("--")]


def _choices(verb: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.choices and action.option_strings:
            patterns = " | ".join(f"{verb}:{name}" for name in action.option_strings)
            yield f'        {patterns}) choices="{" ".join(map(str, action.choices))}" ;;\n'


if __name__ == "__main__":
    print(completion(_parser()), end="")
