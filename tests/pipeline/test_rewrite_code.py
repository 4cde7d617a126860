"""Code through SwallowCode's recipes: planted faults are caught where they should be; real files end somewhere."""

from __future__ import annotations

import json
import os
from collections import Counter

import pyarrow.dataset as ds
import pytest

from pipeline.rewriting.recipe import find_rewriting_recipe
from tests.pipeline.conftest import ROOT
from tests.pipeline.rewriting_runs import made_out, model, rewrite
from tests.rewriting.scripted_server import ScriptedServer

# pylint takes seconds a file: `make check-code` takes all of them.
FILES = int(os.environ.get("KAMISUKI_CODE_FILES", "8"))
CODE = ROOT.parent / "shared" / "data" / "dev" / "code" / "python.jsonl"

GOOD = '''"""Sums of sheets of paper."""


def total(sheets: list[int]) -> int:
    """The sum of all sheets.

    >>> total([1, 2, 3])
    6
    """
    return sum(sheets)


def longest(names: list[str]) -> str:
    """The longest name, of equals the first.

    >>> longest(["紙", "和紙"])
    '和紙'
    """
    return max(names, key=len)
'''
NAMES = {
    "good": "",
    "changed": "Changed: what a function returns is another. ",
    "dropped": "Dropped: a function is gone. ",
    "broken": "Broken: it does not parse. ",
    "looped": "Looped: one line again and again. ",
    "silent": "Silent: no code at all. ",
}


def source(name: str) -> str:
    return GOOD.replace("Sums of", f"{NAMES[name]}Sums of")


def faulty(message: str) -> str:
    """What a model writes about each of the sources; only the first is a good rewrite."""
    name = next((name for name, mark in NAMES.items() if mark and mark in message), "good")
    text = source(name)
    written = {
        "good": text.replace(
            "return max(names, key=len)", "longest_name = max(names, key=len)\n    return longest_name"
        ),
        "changed": text.replace("return sum(sheets)", "return sum(sheets) + 1"),
        "dropped": text[: text.index("def longest")].rstrip() + "\n",
        "broken": text.replace("def total(", "def total"),
        "looped": text + "\n" + 'print("それから紙を漉きました、それから紙を漉きました")\n' * 40,
    }.get(name)
    return "I cannot help with that." if written is None else f"### Improved Code\n```python\n{written}```\n"


def rows_of(run, step: str) -> list[dict]:
    folder = run.out / run.tables[f"rewritten_{run.recipe.name}_{step}"]
    return ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table().to_pylist()


def reasons_of(run, step: str) -> dict[str, str]:
    folder = run.out / run.tables[f"rejects_{run.recipe.name}_{step}"]
    rows = ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table().to_pylist()
    return {row["id"]: row["reason"] for row in rows}


def settings(url: str) -> tuple[str, ...]:
    return (f"client.endpoints=[{{url: {url!r}}}]", "client.timeout_seconds=30", "client.attempts=2")


def test_planted_faults_are_caught_by_the_check_that_should(tmp_path):
    out = made_out(tmp_path / "out", {name: source(name) for name in NAMES}, shards=1)
    with ScriptedServer(otherwise=model(faulty)) as server:
        overrides = (*settings(server.url), "steps.style.otherwise=drop")
        run = rewrite(out, find_rewriting_recipe("swallowcode-v1"), *overrides)
    measured = {row["source_ids"][0]: row for row in rows_of(run, "style")}
    reasons = reasons_of(run, "style")
    assert set(measured) | set(reasons) == set(NAMES) and not set(measured) & set(reasons)
    assert reasons["broken"] == "syntax_not_allowed"
    assert reasons["silent"] == "answer_without_code"
    assert reasons["looped"] in ("lint_worse_not_allowed", "too_high_longest_repetition")
    # Renames are recorded and no reason, a dropped function too: rules may ask for it.
    assert measured["good"]["style_dropped_functions"] == 0
    dropped = measured.get("dropped")
    assert dropped is None or dropped["style_dropped_functions"] == 1
    if "changed" in measured:
        assert measured["changed"]["style_behaviour"] == "unchecked", "only where there is no sandbox"
    else:
        assert reasons["changed"] == "behaviour_not_allowed"


def test_where_a_rewrite_fails_the_source_goes_on_under_its_own_license(tmp_path):
    out = made_out(tmp_path / "out", {name: source(name) for name in NAMES}, shards=1)
    with ScriptedServer(otherwise=model(faulty)) as server:
        run = rewrite(out, find_rewriting_recipe("swallowcode-v1"), *settings(server.url))
    rows = {row["source_ids"][0]: row for row in rows_of(run, "self_contained")}
    assert set(rows) == set(NAMES)
    broken = rows["broken"]
    assert broken["text"] == source("broken") and broken["fell_back"] == ["style", "self_contained"]
    assert (broken["generator"], broken["license"], broken["lineage"]) == (None, "CC-BY-4.0", None)
    assert rows["good"]["license_tier"] == "reserved" and rows["good"]["generator_training"] == "named"


@pytest.mark.skipif(not CODE.exists(), reason="the project's shared test data is not here")
@pytest.mark.parametrize("recipe", [pytest.param("swallowcode-v1", marks=pytest.mark.slow), "swallowcode-v2"])
def test_real_files_go_through_all_steps_and_each_ends_in_one_row_or_reason(tmp_path, recipe):
    files = [json.loads(line)["code"] for line in CODE.read_text(encoding="utf-8").splitlines()][:FILES]
    texts = {f"f{number:03}": text for number, text in enumerate(files)}
    out = made_out(tmp_path / "out", texts)

    def answer(message: str) -> str:
        if "[[6.5]]" in message:
            return f"Reasons. [[{len(message) % 20 / 2}]]"
        begins = message.rindex("```python\n" if "```python\n" in message else "```\n", 0, message.rindex("```"))
        body = message[begins:].partition("\n")[2].rpartition("```")[0]
        return f"thought\n<|REWRITTEN_CODE|>:\n```python\n{body}```\n"

    with ScriptedServer(otherwise=model(answer)) as server:
        run = rewrite(out, find_rewriting_recipe(recipe), *settings(server.url))
    ended: Counter[str] = Counter()
    last = run.recipe.steps[-1].name
    for row in rows_of(run, last):
        ended[row["source_ids"][0]] += 1
        assert row["warc_file"] is None or row["url"]
    left = {row["id"]: row["source_ids"][0] for step in run.recipe.steps for row in rows_of(run, step.name)}
    for step in run.recipe.steps:
        for key in reasons_of(run, step.name):
            ended[left.get(key, key)] += 1
    assert ended == Counter(dict.fromkeys(texts, 1))
    assert rows_of(run, last)
