"""Recipes: what is written is what is read, and every mistake is named with its line."""

from pathlib import Path

import pyarrow as pa
import pytest

from dedup.minhash import parameters_for_threshold
from filters.rules import judge, reason_of
from pipeline.dedup_settings import Dedup, Signature
from pipeline.errors import UsageError
from pipeline.recipe import Recipe, dump_recipe, find_recipe, load_recipe
from pipeline.shipped import shipped_recipes
from pipeline.signal_settings import FastTextSettings

SHIPPED = shipped_recipes()


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_load_under_their_own_name_and_survive_a_round_trip(path, tmp_path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.description
    again = load_recipe(write(tmp_path, dump_recipe(recipe)))
    assert again == recipe


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_limit_of_a_shipped_recipe_names_its_source(path):
    for rule in load_recipe(path).select.rules:
        assert rule.source, rule.signal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\nextractt: {}\n",
            "mine.yaml:2: extractt: unknown key; like it: extract; allowed here: name, descr",
        ),
        (
            "name: x\nextract:\n  limits:\n    cpu: 3\n",
            "mine.yaml:4: extract.limits.cpu: unknown key; allowed here: body_bytes",
        ),
        ("name: x\ndedup:\n  similarity: 1.5\n", "mine.yaml:3: dedup.similarity:"),
        (
            "name: x\nselect:\n  rules:\n    - {signal: kana, min: 3}\n",
            "mine.yaml:4: select.rules.kana: unknown signal 'kana'; ",
        ),
        (
            "name: x\nselect:\n  rules:\n    - {signal: consent, min: 3}\n",
            "mine.yaml:4: select.rules.consent: consent holds text",
        ),
        (
            "name: x\nselect:\n  rules:\n    - {signal: lines, any_of: [a]}\n",
            "mine.yaml:4: select.rules.lines: lines holds numbers",
        ),
        ("name: x\nselect:\n  rules:\n    - {signal: lines, min: 5, max: 3}\n", "mine.yaml:4: select.rules.lines"),
        ("name: x\nselect:\n  rules:\n    - {signal: ng_word_ratio, max: 0.1}\n", "needs word lists"),
        (
            "name: x\nselect:\n  rules:\n    - {signal: page_type, min: 1}\n",
            "mine.yaml:4: select.rules.page_type: page_type holds text",
        ),
        (
            "name: x\nselect:\n  rules:\n    - {signal: extraction_confidence, any_of: [high]}\n",
            "mine.yaml:4: select.rules.extraction_confidence: extraction_confidence holds numbers",
        ),
        ("name: x\nextract:\n  extractor: readability\n", "mine.yaml:3: extract.extractor: "),
        ("name: x\nextract:\n  tables: html\n", "mine.yaml:3: extract.tables: "),
        (
            "name: x\nextract:\n  extractor: trafilatura\n  ruby: parentheses\n",
            "mine.yaml:2: extract: trafilatura cannot do ruby: leave it out, or set extractor to kamisuki",
        ),
        (
            "name: x\nextract: {extractor: trafilatura, tables: markdown, headline: dropped}\n",
            "mine.yaml:2: extract: trafilatura cannot do tables, headline: leave them out, or set",
        ),
        (
            "name: x\nextract: {extractor: trafilatura}\nselect:\n  rules: [{signal: page_type, any_of: [forum]}]\n",
            "a rule on page_type has nothing to judge, as trafilatura does not say it: set extract.extractor to",
        ),
        (
            "name: x\nannotate:\n  datatrove:\n    mine: {filter: Gopher}\n",
            "mine.yaml:4: annotate.datatrove.mine: datatrove has no filter 'Gopher'; it has: ",
        ),
        (
            "name: x\nselect:\n  columns: [kana]\n",
            "mine.yaml:3: select.columns: unknown signal 'kana'; ",
        ),
        ("name: x\ndedup:\n  signature: {preset: nobody}\n", "unknown preset 'nobody'; allowed: fineweb"),
        ("name: x\ndedup:\n  signature: {preset: swallow, bands: 3}\n", "preset swallow fixes bands"),
        ("name: x\ndedup:\n  signature: {preset: swallow, threshold: 0.8, permutations: 128}\n", "swallow fixes thre"),
        ("name: x\ndedup:\n  signature: {threshold: 0.8}\n", "threshold and permutations go together"),
        ("name: x\ndedup:\n  signature: {threshold: 2, permutations: 128}\n", "must lie between 0 and 1, not 2"),
        ("name: x\ndedup:\n  signature: {threshold: 0.8, permutations: 128, rows: 2}\n", "threshold fixes rows"),
        ("description: nameless\n", "mine.yaml:1: name: is required"),
        ("name: [\n", "not YAML"),
        (
            "name: x\nselect:\n  rules:\n    - {signal: lines, min: 1, min: 5}\n",
            "line 4: select.rules.0.min stands twice",
        ),
        ("name: x\ndedup:\n  signature: {seed: -1}\n", "mine.yaml:3: dedup.signature.seed:"),
        ("- name\n", "it is a mapping"),
        ("name: x\nextends: nowhere.yaml\n", "extends 'nowhere.yaml': no file beside it"),
        ("name: x\nextends: dem\n", "has this name; like it: demo; shipped are: "),
        ("extends: demo\n", "mine.yaml:1: name: is required: what extends another recipe needs a name of its own"),
        (
            "name: x\nextends: demo\nselect:\n  rules:\n    swallow_letters: null\n",
            "mine.yaml:5: select.rules.swallow_letters: null takes an item away, and there is none of this signal; th",
        ),
        ("name: x\nselect: {rules: [{signal: lines, min: true}]}\n", "select.rules.lines.min: true is no number"),
        ("name: x\nselect: {rules: [{signal: lines, min: many}]}\n", "select.rules.lines.min: 'many' is no number"),
        ("name: x\nselect: {rules: [{signal: lines, top: 40}]}\n", "should be less than 1, not 40"),
        (
            "name: x\nannotate: {models: {m: {file: a}}}\n",
            "mine.yaml:2: annotate.models.m: needs a label, of which",
        ),
        ("name: x\nannotate: {models: {m: {kind: kenlm}}}\n", "mine.yaml:2: annotate.models.m.file: is required"),
        (
            "name: x\nannotate: {models: {m: {file: a, labl: ja}}}\n",
            "annotate.models.m.labl: unknown key; like it: label; allowed here: kind, file",
        ),
        ("name: x\nannotate: {models: {m: {kind: bert}}}\n", "models.m: unknown kind 'bert'; allowed: kenlm, fasttext"),
        ("name: x\nextends: mine.yaml\n", "extend each other in a circle"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_line_and_what_is_allowed(tmp_path, text, message):
    with pytest.raises(UsageError) as caught:
        load_recipe(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_null_switches_a_limit_off_and_zero_means_zero(tmp_path):
    text = "name: x\nselect:\n  rules:\n    - {signal: lines, min: 0}\n    - {signal: letters, min: null}\n"
    rules = load_recipe(write(tmp_path, text)).select.active_rules()
    assert [(rule.signal, rule.min) for rule in rules] == [("lines", 0.0)]


def test_trafilatura_may_be_asked_for_with_what_is_the_default(tmp_path):
    text = "name: x\nextract: {extractor: trafilatura, tables: rows, ruby: dropped, headline: kept}\n"
    text += "select:\n  rules:\n    - {signal: page_type, any_of: null}\n    - {signal: extractor, none_of: [x]}\n"
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.extract.extractor == "trafilatura"
    assert Recipe(name="x").extract.extractor == "kamisuki"


def test_bands_follow_from_a_preset_or_a_threshold(tmp_path):
    def signature(text: str) -> Signature:
        recipe = load_recipe(write(tmp_path, f"name: x\ndedup:\n  signature: {text}\n"))
        assert recipe.dedup
        again = Dedup(**recipe.dedup.model_dump(mode="json")).signature
        assert again == recipe.dedup.signature
        return again

    assert signature("{preset: fineweb}").numbers() == {"ngram": 5, "bands": 14, "rows": 8, "seed": 1}
    by_threshold = signature("{threshold: 0.8, permutations: 128, ngram: 7, seed: 3}")
    assert by_threshold.parameters() == parameters_for_threshold(0.8, 128, ngram=7, seed=3)
    assert signature("{bands: 9, rows: 13}").parameters().permutations == 117


def test_extends_patches_rules_by_signal(tmp_path):
    write(
        tmp_path,
        "name: base\nselect:\n  rules:\n    - {signal: lines, min: 2}\n    - {signal: letters, min: 9}\n",
        "base.yaml",
    )
    child = "name: child\nextends: base.yaml\nselect:\n  rules:\n"
    child += "    lines: {min: 5}\n    letters: null\n    sentences: {min: 1}\n"
    rules = load_recipe(write(tmp_path, child)).select.active_rules()
    assert [(rule.signal, rule.min) for rule in rules] == [("lines", 5.0), ("sentences", 1.0)]


def test_set_changes_a_key_and_a_rule(tmp_path):
    path = find_recipe("swallow-v2")
    recipe = load_recipe(path, ("dedup.similarity=0.9", "select.rules.swallow_japanese_letters.min=300"))
    assert recipe.dedup and recipe.dedup.similarity == 0.9
    assert [rule.min for rule in recipe.select.active_rules() if rule.signal == "swallow_japanese_letters"] == [300]


@pytest.mark.parametrize(
    "override",
    ["dedup.similarity", "=3", "select.rules.kana.min=3", "dedup.similarity.x=3", "dedup.similarity=[", "nope=1"],
)
def test_a_wrong_override_is_refused_by_name(override):
    with pytest.raises(UsageError) as caught:
        load_recipe(find_recipe("swallow-v2"), (override,))
    assert "--set" in str(caught.value) or "unknown key" in str(caught.value)


def test_an_override_that_makes_a_recipe_wrong_is_blamed_on_the_command_line():
    with pytest.raises(UsageError) as caught:
        load_recipe(find_recipe("swallow-v2"), ("dedup.similarity=0",))
    assert str(caught.value).startswith("--set: dedup.similarity: ")
    assert "swallow-v2.yaml" not in str(caught.value)


def test_a_missing_recipe_names_those_that_there_are():
    with pytest.raises(UsageError, match=r"demo, .*swallow-v1, swallow-v2"):
        find_recipe("swallow-v9")


def test_word_lists_are_found_beside_the_recipe(tmp_path):
    recipe = load_recipe(write(tmp_path, "name: x\nannotate: {ng_words: [words.txt]}\n"))
    assert recipe.annotate.ng_words == (str(tmp_path.resolve() / "words.txt"),)


def test_a_recipe_cannot_be_changed():
    recipe = Recipe(name="x")
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "y"  # type: ignore[misc]


def test_a_recipe_pays_only_for_the_groups_that_its_rules_name(tmp_path):
    def tables(text: str) -> set[str]:
        return set(load_recipe(write(tmp_path, f"name: x\n{text}")).groups())

    assert tables("") == {"signals"}
    assert tables("select:\n  rules:\n    - {signal: words, min: 5}\n") == {"signals", "signals_words"}
    assert tables("select:\n  rules:\n    - {signal: words, min: null}\n") == {"signals"}
    assert tables("select:\n  columns: [script_words]\n") == {"signals", "signals_script_words"}


EDGES = [
    pytest.param(rule, limit, id=f"{path.stem} {rule.signal} {limit}")
    for path in SHIPPED
    for rule in load_recipe(path).select.active_rules()
    for limit in ("min", "max", "more_than", "less_than", "any_of", "none_of")
    if getattr(rule, limit) is not None
]


@pytest.mark.parametrize(("rule", "limit"), EDGES)
def test_each_rule_of_each_shipped_recipe_keeps_and_rejects_at_its_edge(rule, limit):
    bound = getattr(rule, limit)
    if limit in ("any_of", "none_of"):
        kept, gone = (bound[0], "something else") if limit == "any_of" else ("something else", bound[0])
    else:
        step = max(abs(bound), 1.0) * 1e-6
        outside = bound - step if limit in ("min", "more_than") else bound + step
        inside = bound + step if limit in ("min", "more_than") else bound - step
        kept, gone = (bound, outside) if limit in ("min", "max") else (inside, bound)
    verdicts = judge(pa.RecordBatch.from_pydict({rule.signal: pa.array([kept, gone])}), [rule])
    assert verdicts.rule.tolist() == [-1, 0]
    assert verdicts.passed.to_pylist() == [True, rule.tier is not None]
    assert verdicts.reason.to_pylist()[1] == (None if rule.tier else reason_of(rule, limit))


def test_a_mistake_in_a_recipe_that_extends_another_is_found_in_its_own_file(tmp_path):
    text = "extends: swallow-v2\nname: mine\nselect:\n  rules:\n    swallow_japanese_letters: {minimum: 200}\n"
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=rf"{path.name}:5: select\.rules\.swallow_japanese_letters\.minimum"):
        load_recipe(path)
    path = write(tmp_path, text.replace("swallow_japanese_letters: {minimum", "nothing: {min"))
    with pytest.raises(UsageError, match=rf"{path.name}:5: .*unknown signal 'nothing'"):
        load_recipe(path)


def test_a_shipped_recipe_is_extended_by_its_name_and_another_word_is_explained(tmp_path):
    assert load_recipe(write(tmp_path, "extends: swallow-v2\nname: mine\n")).name == "mine"
    with pytest.raises(UsageError, match="no file beside it and no shipped recipe"):
        load_recipe(write(tmp_path, "extends: swallow-v9\nname: mine\n"))


def test_a_list_under_a_signals_name_puts_several_rules_in_the_place_of_one(tmp_path):
    changes = "{hiragana_ratio: [{min: 0.15}, {top: 0.9}], words: [{min: 5}]}"
    text = f"name: x\nextends: demo\nselect: {{rules: {changes}}}\n"
    rules = [(rule.signal, rule.min, rule.top) for rule in load_recipe(write(tmp_path, text)).select.rules]
    demo = [(rule.signal, rule.min, rule.top) for rule in load_recipe(find_recipe("demo")).select.rules]
    place = [signal for signal, *_ in demo].index("hiragana_ratio")
    two = [("hiragana_ratio", 0.15, None), ("hiragana_ratio", None, 0.9)]
    assert rules == [*demo[:place], *two, *demo[place + 1 :], ("words", 5, None)]


def test_a_label_may_be_written_as_fasttext_writes_it(tmp_path):
    text = "name: x\nannotate: {models: {m: {file: 'asset:lid.176', label: __label__ja}}}\n"
    model = load_recipe(write(tmp_path, text)).annotate.models["m"]
    assert isinstance(model, FastTextSettings) and model.label == "ja"
