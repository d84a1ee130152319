"""Golden examples are added to a model.yaml as text: whatever else is in it stays, character by character."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from visiond.modelkit.verify.golden_text import add_golden

CAT: dict[str, Any] = {"image": "cat.jpg", "expect": [{"label": "cat, tabby: grey", "min_score": 0.6}]}
DOG: dict[str, Any] = {
    "image": "dog's.jpg",
    "expect": [{"label": "dog", "min_score": 0.5, "box": [0.1, 0.2, 0.3, 0.4]}],
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "name: x\n",
            "name: x\ngolden:\n  - {image: cat.jpg, expect: [{label: 'cat, tabby: grey', min_score: 0.6}]}\n",
        ),
        (
            "golden:  # proved\n  - {image: a.jpg}  # the first\n\n# the end\nname: x\n",
            "golden:  # proved\n  - {image: a.jpg}  # the first\n"
            "  - {image: cat.jpg, expect: [{label: 'cat, tabby: grey', min_score: 0.6}]}\n\n# the end\nname: x\n",
        ),
        (
            "golden:\n- image: a.jpg\n  expect:\n  - label: cat\n    min_score: 0.5  # low\n",
            "golden:\n- image: a.jpg\n  expect:\n  - label: cat\n    min_score: 0.5  # low\n"
            "- {image: cat.jpg, expect: [{label: 'cat, tabby: grey', min_score: 0.6}]}\n",
        ),
        ("golden: []\nname: x", f"golden: [{json.dumps(CAT)}]\nname: x"),
        ("golden: [{image: a.jpg}]", f"golden: [{{image: a.jpg}}, {json.dumps(CAT)}]"),
        ('{"name": "x"}', f'{{"name": "x", "golden": [{json.dumps(CAT)}]}}'),
        ('{"golden": [\n  {"image": "a.jpg"}\n]}', f'{{"golden": [\n  {{"image": "a.jpg"}}, {json.dumps(CAT)}\n]}}'),
    ],
)
def test_each_form_of_list(before: str, after: str) -> None:
    assert add_golden(before, [CAT]) == after


names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=12)


@example([], "block", False, "\x85")
@given(st.lists(names, max_size=3), st.sampled_from(["block", "flow", "json"]), st.booleans(), names)
def test_what_was_there_is_still_there_and_what_is_added_reads_back(
    images: list[str], form: str, tail: bool, label: str
) -> None:
    content: dict[str, Any] = {"name": "x", "golden": [{"image": each, "expect": []} for each in images]}
    if not images:
        del content["golden"]
    if tail:
        content["license"] = "none"
    if form == "json":
        text = json.dumps(content, indent=1)
    else:
        text = "# head\n" + yaml.safe_dump(content, default_flow_style=form == "flow", sort_keys=False)
    added = {"image": "new.jpg", "expect": [{"label": label, "min_score": 0.25}]}
    changed = add_golden(text, [added, DOG])
    read = yaml.safe_load(changed)
    assert read["golden"] == [*content.get("golden", []), added, DOG]
    assert {key: value for key, value in read.items() if key != "golden"} == {
        key: value for key, value in content.items() if key != "golden"
    }
    kept = iter(changed)
    assert all(character in kept for character in text), "only added to"


@pytest.mark.parametrize("text", ["- a\n", "golden: 3\n", ""])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(ValueError, match=r"no mapping|no list"):
        add_golden(text, [CAT])
