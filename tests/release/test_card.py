"""The card of a release: true to its manifest, whole for the Hub, and safe whatever the manifest holds."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import yaml
from huggingface_hub import DatasetCard, DatasetCardData, metadata_load
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.recipe import find_recipe, load_recipe
from pipeline.release.card import card, write_card
from pipeline.release.card.columns import meanings
from pipeline.release.card.metadata import HUB_LICENSES, hub_license, metadata, size_category
from pipeline.release.card.parts import TIER_MEANINGS
from pipeline.release.manifest import LicenseCount, SourceCount
from pipeline.rewriting.recipe import find_rewriting_recipe, load_rewriting_recipe
from pipeline.rewriting.rows import ROWS
from pipeline.schemas import corpus_schema
from pipeline.select_settings import Clean
from pipeline.web.license.tiers import TIERS
from tests.release.manifests import DAY, corpus_task, hostile_manifests, hostile_rewritings, manifest
from tests.release.test_card_markup import TEXTS, shown

MARKDOWN = MarkdownIt("commonmark").enable("table")
# What huggingface_hub names in DatasetCardData, and the keys that the Hub's own description of cards (hub-docs,
# datasetcard.md) has besides.
HUB_KEYS = set(DatasetCardData.__init__.__annotations__) | {"license_name", "license_link", "tags", "configs"}


def body(page: str) -> list[Token]:
    """The tokens of a card behind its metadata."""
    return MARKDOWN.parse(DatasetCard(page).text)


def text_of(token: Token) -> str:
    return "".join(child.content for child in token.children or [])


def tables(tokens: list[Token]) -> dict[tuple[str, ...], list[list[str]]]:
    """The tables of a card by their headers, cells as a reader sees them."""
    found: list[list[list[str]]] = []
    for token, inline in zip(tokens, [*tokens[1:], None]):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open") and inline is not None:
            found[-1][-1].append(text_of(inline))
    return {tuple(rows[0]): rows[1:] for rows in found}


# A failing page is read as it is: to make it smaller takes minutes.
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(hostile_manifests(TEXTS))
def test_hostile_data_stays_data_in_the_whole_card(made):
    page = card(made)
    front = DatasetCard(page)
    assert front.data.to_dict() == metadata(made)
    assert metadata(made)["pretty_name"] == made.name
    tokens = body(page)
    assert not [
        token for token in tokens if "html" in token.type or token.type in ("hr", "blockquote_open", "lheading")
    ]
    links = [
        child
        for token in tokens
        for child in token.children or []
        if child.type in ("link_open", "image", "html_inline")
    ]
    assert {link.attrs["href"] for link in links} == {"#removal"}

    task = made.tasks[0]
    found = tables(tokens)

    def column(header: tuple[str, ...], place: int) -> list[str]:
        return [shown(row[place]) for row in found[header]]

    assert column(("source", "rows", "characters", "first fetched", "last fetched"), 0) == [
        s.source for s in task.sources
    ]
    assert column(("tier", "license", "rows", "characters"), 0) == [count.tier for count in task.licenses]
    assert column(("tier", "license", "rows", "characters"), 1) == [
        count.license or "none found" for count in task.licenses
    ]
    assert column(("verdict", "rows"), 0) == list(task.consent)
    assert column(("what", "version"), 1) == list(task.versions.values())
    assert column(("column", "type", "content"), 1) == [kind for _, kind in task.columns]
    steps = [f"− {step.name}" if step.removed else step.name for step in task.funnel]
    steps += [f"− {reason}" for reason in task.left_out] + ["this release"]
    # A cell ends where its last letter does.
    steps = ["−" if step == "− " else step for step in steps]
    assert column(("step", "rows", "characters"), 0) == steps
    if task.waived:
        assert column(("shard", "error"), 0) == list(task.waived)
        assert column(("shard", "error"), 1) == list(task.waived.values())
    if made.takedowns:
        assert column(("date", "reason", "asked for", "rows removed"), 1) == [each.reason for each in made.takedowns]

    fences = {token.info: token.content for token in tokens if token.type == "fence"}
    assert list(fences) == ["python", "yaml", "bibtex", "text"]
    assert yaml.safe_load(fences["yaml"]) == task.recipe
    # What is written in the project's own words is the same whatever the data: one heading a section.
    headings = [text_of(inline) for token, inline in pairwise(tokens) if token.type == "heading_open"]
    assert shown(headings[0]) == made.name
    assert headings[1:] == re.findall(r"^## (.+)$", card(manifest()), re.MULTILINE)


@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(hostile_rewritings(TEXTS))
def test_hostile_data_stays_data_where_a_model_wrote(made):
    page = card(made)
    tokens = body(page)
    assert not [token for token in tokens if "html" in token.type or token.type in ("hr", "blockquote_open")]
    headings = [text_of(inline) for token, inline in pairwise(tokens) if token.type == "heading_open"]
    assert headings[1:] == re.findall(r"^## (.+)$", card(manifest([corpus_task(kind="rewritten")])), re.MULTILINE)
    task = made.tasks[0]
    found = tables(tokens)
    steps = found[("step", "what it does", "checks", "a row that fails", "dropped", "went on though failed",
                   "rows behind it")]  # fmt: skip
    assert [shown(row[0]) for row in steps] == [step["name"] for step in task.recipe["steps"]]
    assert [shown(row[2]) for row in steps] == [", ".join(step["checks"]) for step in task.recipe["steps"]]
    facts = {row[0]: shown(row[1]) for row in found["what", "value"]}
    if task.recipe["generator"]:
        assert (facts["model"], facts["its license"]) == tuple(
            task.recipe["generator"][key] for key in ("model", "license")
        )
    prompts = [token.content for token in tokens if token.type == "fence" and token.content.startswith("=== ")]
    assert len(prompts) == len(task.rewriting.prompts)
    recipes = [yaml.safe_load(token.content) for token in tokens if token.type == "fence" and token.info == "yaml"]
    assert recipes == [task.recipe, task.rewriting.source_recipe]


def test_the_same_manifest_gives_the_same_card(tmp_path):
    write_card(tmp_path, manifest())
    first = (tmp_path / "README.md").read_bytes()
    write_card(tmp_path, manifest())
    assert (tmp_path / "README.md").read_bytes() == first == card(manifest()).encode()


def test_the_metadata_have_what_the_hub_asks_for(tmp_path):
    write_card(tmp_path, manifest())
    found = metadata_load(tmp_path / "README.md")
    assert found.keys() <= HUB_KEYS
    assert found["language"] == ["ja"] and found["task_categories"] == ["text-generation"]
    assert found["size_categories"] == ["n<1K"]
    assert found["configs"][0] == {
        "config_name": "demo",
        "data_files": [
            {"split": "train", "path": ["data/demo-none/train-*.parquet"]},
            {"split": "validation", "path": ["data/demo-none/validation-*.parquet"]},
        ],
        "default": True,
    }
    assert [config.get("default", False) for config in found["configs"]] == [True, False]


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (123_456, "100K<n<1M"),
        (10**9, "1B<n<10B"),
        (10**11, "100B<n<1T"),
        (10**13, "n>1T"),
    ],
)
def test_sizes_are_named_as_the_hub_does(rows, category):
    # The list stands in the documentation of DatasetCardData alone.
    assert f"'{category}'" in (DatasetCardData.__doc__ or "")
    assert size_category(rows) == category


def counted(*pairs: tuple[str | None, str]) -> list[LicenseCount]:
    return [LicenseCount(license=license_id, tier=tier, rows=1, characters=1) for license_id, tier in pairs]


@pytest.mark.parametrize(
    ("licenses", "wanted"),
    [
        ([("CC-BY-4.0", "attribution")], "cc-by-4.0"),
        ([("ODC-By-1.0", "attribution")], "odc-by"),
        ([(None, "unknown")], "unknown"),
        ([(None, "reserved")], "other"),
        ([("CC-BY-4.0", "attribution"), ("CC0-1.0", "public-domain")], "other"),
        ([("CC-BY-4.0", "attribution"), (None, "unknown")], "other"),
        ([("LicenseRef-PDL-1.0", "government")], "other"),
        ([("cc-by-4.0\nlicense: mit", "attribution")], "other"),
    ],
)
def test_the_license_is_that_of_all_rows_or_other(licenses, wanted):
    found = metadata(manifest([corpus_task(licenses=counted(*licenses))]))
    assert found["license"] == wanted
    # The Hub wants name and link where the license is none that it knows, a name of this form.
    assert (wanted == "other") == ("license_name" in found) == ("license_link" in found)
    assert re.fullmatch(r"[a-z0-9.-]+", found.get("license_name", "x"))


def test_no_license_is_invented():
    assert hub_license("MIT", "attribution") == "mit" in HUB_LICENSES
    assert hub_license("CC-BY-2.1-JP", "attribution") is None


def test_languages_are_those_of_many_rows():
    found = metadata(manifest([corpus_task(languages={"ja": 990, "en": 10, "zh": 9, "none": 500, "ja\n- x": 400})]))
    assert found["language"] == ["ja"]
    assert "language" not in metadata(manifest([corpus_task(languages={})]))


def test_filters_name_what_each_removed():
    page = card(manifest())
    (rows,) = [rows for header, rows in tables(body(page)).items() if header[:2] == ("measure", "kept")]
    by_reason = {row[2]: row for row in rows}
    assert by_reason["too_few_japanese_letters"][3:5] == ["7", "900"]
    rules = load_recipe(find_recipe("demo")).select.rules
    assert {row[0] for row in rows} == {rule.signal for rule in rules}
    # A limit that took nothing is shown with 0.
    assert [row[3] for row in rows if row[2] == "consent_not_allowed"] == ["0"]


def test_waived_shards_and_takedowns_are_named():
    page = card(manifest([corpus_task(waived={"shard-7": "OSError: gone"})], contact="data@example.jp"))
    assert "shard-7" in page and "OSError&#58; gone" in page and "No shard of the input is missing" not in page
    assert "Write to data&#64;example.jp" in page
    assert "No shard of the input is missing" in card(manifest()) and "Nothing has been removed" in card(manifest())


def test_policy_decides_what_is_said_of_refusals():
    made = manifest()
    refused = made.model_copy(update={"policy": made.policy.model_copy(update={"refused_consent": True})})
    assert "are not in this release" in card(made) and "are not in this release" not in card(refused)
    tiers = made.policy.model_copy(update={"license_tiers": ["attribution", "public-domain"]})
    assert "attribution, public-domain" in card(made.model_copy(update={"policy": tiers}))


def test_tiers_are_explained_and_added_up():
    assert tuple(TIER_MEANINGS) == TIERS
    licenses = [
        LicenseCount(license=name, tier=tier, rows=rows, characters=1)
        for name, tier, rows in (("CC-BY-4.0", "attribution", 4), ("MIT", "attribution", 3), (None, "unknown", 6))
    ]
    found = tables(body(card(manifest([corpus_task(licenses=licenses)]))))["tier", "what it lets people do", "rows"]
    assert [(tier, rows) for tier, _, rows in found] == [("attribution", "7"), ("unknown", "6")]


def test_the_card_says_what_robots_txt_and_refusals_did():
    page = card(manifest())
    assert "No rule of the recipe looks at robots.txt" in page and " 2 rows were left out for it" in page
    asked = load_recipe(find_recipe("opt-in")).model_dump(mode="json")
    page = card(manifest([corpus_task(recipe=asked, left_out={})]))
    assert "the recipe kept: `robots_latest` none of refused" in page and "left out for it" not in page


def test_limits_and_terms_follow_from_recipe_and_sources():
    adult, terms = "No filter looks for adult", "commoncrawl.org/terms-of-use"
    demo = card(manifest())
    assert adult not in demo and terms in demo and "compared with evaluation sets" in demo
    plain_recipe = load_recipe(find_recipe("swallow-v2")).model_dump(mode="json")
    source = SourceCount(source="wiki", rows=10, characters=7000)
    other = card(manifest([corpus_task(recipe=plain_recipe, sources=[source])]))
    assert adult in other and terms not in other
    assert "`url`, `author` may name persons too" in card(
        manifest([corpus_task(columns=[("id", "string"), ("url", "string"), ("author", "string")])])
    )


def test_the_funnel_ends_with_the_rows_and_characters_of_the_files():
    last = tables(body(card(manifest())))["step", "rows", "characters"][-1]
    assert last == ["this release", "10", "7,000"]


def test_what_changes_texts_is_known_to_mask_nothing():
    # The card says that nothing is masked: a setting that masks must change the card with it.
    assert set(Clean.model_fields) == {"footer", "punctuation", "empty_lines"}


def test_every_column_of_a_corpus_and_of_rewritten_rows_has_a_meaning():
    for kind, names in (("corpus", corpus_schema([]).names), ("rewritten", [name for name, _ in ROWS])):
        assert [name for name, meaning in meanings(kind, names).items() if not meaning] == []
    assert meanings("corpus", ["japanese_letters"])["japanese_letters"]
    assert meanings("rewritten", ["rewrite_similarity"]) == {"rewrite_similarity": ""}


def test_a_rewritten_task_has_its_own_parts():
    recipe = load_rewriting_recipe(find_rewriting_recipe("rephrase-ja")).model_dump(mode="json")
    made = manifest([corpus_task(), corpus_task(name="rephrase-ja", kind="rewritten", recipe=recipe)])
    page = card(made)
    assert page.count("### rephrase-ja") == page.count("### demo") > 5
    assert "A language model wrote" in page
    assert "synthetic" in metadata(made)["tags"] and "machine-generated" in metadata(made)["language_creators"]
    (*_, found) = [rows for header, rows in tables(body(page)).items() if header[:2] == ("measure", "kept")]
    assert {row[0].partition(": ")[0] for row in found} <= {step["name"] for step in recipe["steps"]}


def test_a_config_without_rows_of_a_split_does_not_ask_for_its_files():
    made = manifest()
    alone = made.model_copy(update={"files": made.files[:1]})
    assert [part["split"] for part in metadata(alone)["configs"][0]["data_files"]] == ["train"]


def test_long_lists_of_files_are_left_to_the_manifest():
    made = manifest()
    files = [
        made.files[0].model_copy(update={"path": f"data/demo-none/train-{n:05}-of-00600.parquet"}) for n in range(600)
    ]
    assert "train-00599" not in card(made.model_copy(update={"files": files}))
    assert "train-00000-of-00001" in card(made)


@given(st.text("{}%$#&_\\~^ab", max_size=20))
def test_the_citation_is_one_balanced_entry(text):
    (entry,) = re.findall(r"```bibtex\n(.*?)\n```", card(manifest(name=text)), re.DOTALL)
    unescaped = re.sub(r"\\[{}%$#&_]|\\text\w+\{\}", "", entry)
    assert unescaped.count("{") == unescaped.count("}") == 4
    assert str(DAY.year) in entry
