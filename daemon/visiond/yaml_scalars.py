"""What an unquoted scalar means: YAML 1.2's core schema, where `no` is text, `010` is ten and `1e3` is a number."""

from __future__ import annotations

import math
import re
from typing import Final

MAX_INTEGER: Final = 2**63 - 1

Scalar = None | bool | int | float | str

# YAML 1.2.2, section 10.3.2: the core schema's tag resolution.
_CONSTANTS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS: Final = 400  # int() raises over 4,300 digits; no number of 64 bits needs more than these, even with zeros


def resolve_scalar(text: str) -> Scalar:
    """Return what an unquoted scalar means in YAML 1.2; raises ValueError for a number that no field can hold."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _DECIMAL.fullmatch(text):
        return _bounded(int(text) if len(text) <= _MAX_DIGITS else MAX_INTEGER + 1)
    if match := _OTHER_BASE.fullmatch(text):
        return _bounded(int(match[1], 8) if match[1] else int(match[2], 16))
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("is not a finite number, give one that is")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("is too large for a number, give a smaller one")
        return number
    return text


def reads_as_text(text: str) -> bool:
    """Whether an unquoted scalar is text, not a number, a truth value or nothing."""
    try:
        return isinstance(resolve_scalar(text), str)
    except ValueError:
        return False


def _bounded(number: int) -> int:
    if abs(number) > MAX_INTEGER:
        raise ValueError("is too large for a whole number, give one of at most 18 digits")
    return number
