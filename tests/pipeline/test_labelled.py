"""The labelled set is whole, and no change makes a rule of a shipped recipe judge it worse than before.

When a rule is meant to judge in another way, look at what it does on the half `tuning`, and write the file anew with
`KAMISUKI_PIN=1 python -m pytest tests/pipeline/test_labelled.py`; the gate is the other half.
"""

import json
import os
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest

from filters.labelled import HALVES, LABELS, Score, read_labelled, score
from pipeline.labelled import judge_labelled, shipped_set
from pipeline.recipe import load_recipe
from pipeline.shipped import shipped_recipes
from tests.pipeline.conftest import ROOT

PINNED = ROOT / "tests" / "data" / "rules-on-labelled.json"
HELD_OUT = HALVES[1]
# Rules on what only a run or a site tells are judged elsewhere.
RECIPES = {path.stem: path for path in shipped_recipes()}


@lru_cache(maxsize=1)
def documents():
    return shipped_set()


def test_the_set_has_all_kinds_of_failure_in_both_halves():
    found = documents()
    assert len(found) >= 400
    kinds = Counter(each.kind for each in found)
    wanted = {
        "lists",
        "ads",
        "adult",
        "machine-translation",
        "boilerplate",
        "forums",
        "notices",
        "code",
        "poems",
        "dialogue",
    }
    assert wanted <= kinds.keys()
    for half in HALVES:
        labels = Counter(each.label for each in found if each.half == half)
        assert set(labels) == set(LABELS) and 0.4 < sum(labels.values()) / len(found) < 0.6
    assert len({each.text for each in found}) == len(found)


def scores(recipe: str) -> dict[str, Score]:
    """By reason how each rule of a recipe judges the half that nobody tunes on."""
    chosen = load_recipe(RECIPES[recipe])
    judged = judge_labelled(chosen, documents())
    return {reason: found for reason in judged.rejected if (found := judged.score(reason, HELD_OUT))}


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_rule_judges_the_held_out_half_worse_than_before(recipe):
    found = scores(recipe)
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    if os.environ.get("KAMISUKI_PIN"):
        pinned[recipe] = {name: [each.rejected, each.rightly, each.should_fall] for name, each in found.items()}
        PINNED.write_text(json.dumps(pinned, indent=1, sort_keys=True) + "\n")
        return
    before = {name: Score(*counts) for name, counts in pinned.get(recipe, {}).items()}
    assert found.keys() == before.keys(), "a rule came or went: pin anew"
    worse = {
        name: (before[name], each)
        for name, each in found.items()
        if (each.precision or 0.0) < (before[name].precision or 0.0)
        or (each.recall or 0.0) < (before[name].recall or 0.0)
    }
    assert not worse


def test_what_gets_worse_is_seen():
    should_fall = np.array([True, True, False, False])
    before, after = (score(np.array(rejected), should_fall) for rejected in ([1, 1, 0, 0], [1, 0, 1, 0]))
    assert (before.precision, before.recall) == (1.0, 1.0) and (after.precision, after.recall) == (0.5, 0.5)
    assert score(np.zeros(4, bool), should_fall).precision is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("紙\n", "write a line"),
        ("=== a-01 fine\n紙\n", "is no header"),
        ("=== a-01 good\n紙\n=== a-01 bad\n漉\n", "stands twice"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path)
