"""SchemaField: one place in a JSON Schema, and what may be given there, in words.

A field's `title` says what to give where type and limits do not say it ("[width, height] in pixels").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

JsonSchema = Mapping[str, Any]

NOUNS: Final = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "keys with values below it",
}


class UntitledSchema(GenerateJsonSchema):
    """JSON Schema whose titles are only those that were given by hand."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Never derive a title from a field's name."""
        return False


class SchemaField:
    """One place in the JSON Schema, looked at through $ref, "or null" and unions."""

    def __init__(self, root: JsonSchema, schema: JsonSchema) -> None:
        self._root = root
        self._branches = list(_branches(root, schema))
        self._title: str | None = schema.get("title")

    def child(self, key: str | int) -> SchemaField | None:
        """Return the field under a key or index, if the schema has one."""
        for branch in self._branches:
            found = _child(branch, key)
            if found is not None:
                return SchemaField(self._root, found)
        return None

    def keys(self) -> list[str]:
        """Return the keys that the schema names here."""
        return [key for branch in self._branches for key in branch.get("properties", ())]

    def choices(self) -> list[Any]:
        """Return the values of an enumeration."""
        return [choice for branch in self._branches for choice in _choices(branch)]

    def limits(self) -> str:
        """Return the range of a number ("0 to 240"), or nothing."""
        return next(filter(None, map(_limits, self._branches)), "")

    def remedy(self) -> str:
        """Say what may be given here, or nothing where the schema does not tell."""
        if self._title:
            return self._title
        if choices := self.choices():
            words = [choice if isinstance(choice, str) else json.dumps(choice) for choice in choices]
            return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        nouns = " or ".join(dict.fromkeys(filter(None, map(_noun, self._branches))))
        limits = self.limits()
        return f"{nouns}{' from ' if ' to ' in limits else ' ' if limits else ''}{limits}"


def _branches(root: JsonSchema, schema: JsonSchema) -> Iterator[JsonSchema]:
    if "$ref" in schema:
        yield from _branches(root, root["$defs"][schema["$ref"].rpartition("/")[2]])
    elif alternatives := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        for alternative in alternatives:
            yield from _branches(root, alternative)
    elif schema.get("type") != "null":
        yield schema


def _child(schema: JsonSchema, key: str | int) -> JsonSchema | None:
    if isinstance(key, int):
        items = schema.get("prefixItems", ())
        found = items[key] if key < len(items) else schema.get("items")
    else:
        others = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        found = schema.get("properties", {}).get(key, others)
    return found if isinstance(found, Mapping) else None


def _noun(schema: JsonSchema) -> str:
    kind = schema.get("type", "")
    items = schema.get("items")
    if kind == "array" and isinstance(items, Mapping) and "title" in items:
        return f"a list of {items['title']}"
    if "pattern" in schema:
        return f"text that matches {schema['pattern']}"
    if "maxLength" in schema:
        return f"text of {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    return NOUNS.get(kind, "")


def _choices(schema: JsonSchema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _limits(schema: JsonSchema) -> str:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if lowest is not None and highest is not None:
        return f"{lowest:g} to {highest:g}"
    words = {"of at least": lowest, "above": above, "of at most": highest, "below": below}
    return " and ".join(f"{word} {limit:g}" for word, limit in words.items() if limit is not None)
