"""What PyYAML's scanner and parser complain about, in the words of someone who edits a configuration."""

from __future__ import annotations

from typing import Any, Final

import yaml

# What the parser's problem begins with → what to say, and whether the place to look at is where the context began.
_SENTENCES: Final[tuple[tuple[str, str, bool], ...]] = (
    (
        "mapping values are not allowed",
        '": " cannot stand here: indent as the lines above, or put the text in quotes',
        False,
    ),
    ("could not find expected ':'", 'not a key with a value, write "key: value"', True),
    ("expected <block end>, but found '-'", "an item of a list cannot stand here, indent it as the items above", False),
    ("expected <block end>, but found '<scalar>'", "nothing can follow a value, put the whole of it in quotes", False),
    ("expected <block end>, but found ':'", "a key is missing before this colon, write it", False),
    ("expected <block end>", "cannot stand here, begin it in the same column as the keys above", False),
    ("found unexpected end of stream", "the quotation mark is never closed, close it", True),
    ("found unexpected document separator", "the quotation mark is never closed, close it", True),
    ("expected ',' or ']'", "this [ is never closed, or a comma is missing behind it", True),
    ("expected ',' or '}'", "this { is never closed, or a comma is missing behind it", True),
    ("found character", "a value cannot begin with this character, put it in quotes", False),
    ("found unknown escape character", "an unknown \\ escape, put the text in single quotes", False),
    (
        "expected alphabetic or numeric character",
        "& and * mean anchors, put text that begins with them in quotes",
        False,
    ),
    (
        "sequence entries are not allowed here",
        "an item of a list cannot stand here, put it on a line of its own",
        False,
    ),
    ("expected the node content", "a value is missing before this, or put text that begins with it in quotes", False),
    ("found undefined tag handle", "a tag (!) is not supported, put text that begins with ! in quotes", False),
)


def syntax_problem(error: yaml.MarkedYAMLError) -> tuple[Any, str]:
    """Return the mark to show and a sentence with the remedy."""
    problem = error.problem or "this is not YAML"
    for beginning, sentence, at_context in _SENTENCES:
        if problem.startswith(beginning):
            at = error.context_mark if at_context and error.context_mark is not None else error.problem_mark
            return at, sentence
    return error.problem_mark or error.context_mark, f"not YAML here ({problem}), correct this line or the one above"
