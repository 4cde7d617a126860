"""Shipped rewriting recipes load, name prompts, checks and columns that there are, and a mistake names its line."""

import pytest

from filters.rules import reason_of
from pipeline.errors import UsageError
from pipeline.rewriting.checks import CHECKS
from pipeline.rewriting.prompts import find_prompt
from pipeline.rewriting.recipe import (
    RewritingRecipe,
    dump_rewriting_recipe,
    find_rewriting_recipe,
    load_rewriting_recipe,
    shipped_rewriting_recipes,
)
from pipeline.rewriting.rows import ROWS

SHIPPED = shipped_rewriting_recipes()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_loads_and_each_rule_has_a_column_and_a_source(path, tmp_path):
    recipe = load_rewriting_recipe(path)
    assert recipe.name == path.stem and recipe.description
    columns = {name for name, _ in ROWS}
    for step in recipe.steps:
        mine = {name for check in step.checks for name in CHECKS[check].columns} | {"score"}
        for rule in step.rules:
            assert rule.signal in mine | columns, f"{step.name}: {rule.signal}"
            assert rule.source and rule.limits()
        columns |= {f"{step.name}_{name}" for name in mine}
        for limit in step.active_rules():
            assert reason_of(limit, "min")
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_rewriting_recipe(recipe), encoding="utf-8")
    assert load_rewriting_recipe(copy) == recipe


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_asks_for_what_its_prompt_asks_for(path):
    for step in load_rewriting_recipe(path).steps:
        if step.ask is None:
            continue
        words = " ".join(content for _, content in find_prompt(step.ask.prompt).messages)
        assert step.ask.marker is None or step.ask.marker in words
        wanted = {"pairs": '"pairs"', "deletions": '"delete"', "code": "```", "score": "score", "text": ""}
        assert wanted[step.ask.answer] in words or "[[" in words


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[{name: a, checks: [nothing]}]", "no check 'nothing'"),
        ("[{name: a}, {name: a}]", "two steps have one name"),
        ("[{name: a, ask: {prompt: ja-qa-v1}}]", "say which in generator"),
        ("[{name: a, transform: {tool: format}, ask: {prompt: ja-qa-v1}}]", "make two of it"),
        ("[{name: a, ask: {prompt: ja-qa-v1, answer: deletions}}]", "numbered goes with"),
        ("[{name: a, rules: [{signal: x, min: 1, zzz: 2}]}]", "unknown key; allowed here"),
        ("[]", "at least 1 item"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, steps, message):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nsteps: {steps}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.yaml:\d") as caught:
        load_rewriting_recipe(path)
    assert message in str(caught.value)


def test_steps_are_changed_by_their_names(tmp_path):
    path = tmp_path / "mine.yaml"
    base = find_rewriting_recipe("rephrase-ja")
    path.write_text(
        f"extends: {base}\nname: mine\nsteps:\n  rephrased: {{rules: {{similarity: null}}, otherwise: source}}\n",
        encoding="utf-8",
    )
    before, after = load_rewriting_recipe(base), load_rewriting_recipe(path, ("steps.rephrased.ask.attempts=1",))
    assert {rule.signal for rule in before.steps[0].rules} - {rule.signal for rule in after.steps[0].rules} == {
        "similarity"
    }
    assert (after.steps[0].otherwise, after.steps[0].ask.attempts, len(after.steps)) == ("source", 1, 1)


def test_an_unknown_recipe_names_those_that_there_are():
    with pytest.raises(UsageError, match="swallowcode-v1"):
        find_rewriting_recipe("nothing")


def test_a_recipe_needs_a_step():
    with pytest.raises(ValueError, match="steps"):
        RewritingRecipe(name="mine", steps=())
