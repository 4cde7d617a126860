"""The documentation names all that a user can name, and what it shows works."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dedup.resolve import KINDS
from filters.groups import known_signals
from filters.rules import COUNTED, NUMBER_LIMITS, Rule, reason_of, reasons
from pipeline.cli import app
from pipeline.extract import RECORD_ERRORS
from pipeline.ingest import ROW_ERRORS
from pipeline.ingest_settings import Column
from pipeline.recipe import Recipe, load_recipe
from pipeline.release_run import ReleaseRun
from pipeline.release_settings import Settings
from pipeline.runner import InProcessRunner
from pipeline.schemas import (
    CORPUS_COLUMNS,
    DOCUMENTS,
    ROBOTS,
    ROBOTS_COLUMNS,
    SELECTABLE_DOCUMENT_COLUMNS,
    SELECTABLE_ROBOTS_COLUMNS,
)
from pipeline.shipped import configs_folder, shipped_recipes
from pipeline.web.consent.agents import agent_sets
from pipeline.web.main_text import PAGE_TYPES
from pipeline.web.page.reader import _CAPS
from tests.pipeline.conftest import ROOT, Quiet

PAGES = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + list(ROOT.glob("docs/*.md"))
)
SIGNALS = known_signals()
RECIPES = sorted(file.stem for file in shipped_recipes())
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or a higher one."""
    level = heading.split(" ")[0]
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    following = re.search(rf"^#{{1,{len(level)}}} ", text[start:], re.MULTILINE)
    return text[start : start + following.start()] if following else text[start:]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a page's tables whose first cell is code: that code, and the other cells."""
    table = {}
    for line in text.splitlines():
        match = re.match(r"\| `([^`]+)` \|(.*)\|$", line)
        if match:
            table[match[1]] = [cell.strip() for cell in match[2].split("|")]
    return table


def models_in(annotation: Any) -> list[type[BaseModel]]:
    here = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    return here + [model for inner in get_args(annotation) for model in models_in(inner)]


def recipe_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a recipe as --set writes it, with its default where it is a value."""
    for name, field in model.model_fields.items():
        below = models_in(field.annotation)
        for model_below in below:
            named = "NAME." if getattr(field.annotation, "__origin__", None) is dict else ""
            yield from recipe_keys(model_below, f"{prefix}{name}.{named}")
        if not below:
            yield prefix + name, field.default
    if prefix == "select.":
        yield "select.rules", ()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name):
    documented = [(key, cells) for key, cells in rows(page("docs/getting-started.md")).items()]
    found = [(key, cells) for key, cells in documented if key.split(" ")[:2] == ["kamisuki", name]]
    assert len(found) == 1
    text = found[0][0] + found[0][1][0]
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    missing = [option for option in options if not re.search(rf"{option}(?![a-z-])", text)]
    assert missing in ([], ["--help"])
    assert set(re.findall(r"--[a-z-]+", text)) <= set(options), "an option that the command does not have"


def test_every_key_of_a_recipe_is_documented_with_its_default():
    documented = rows(section(page("docs/recipes.md"), "## Keys")) | rows(section(page("docs/recipes.md"), "## Rules"))
    known = dict(recipe_keys(Recipe))
    assert len(known) > 30
    for key, default in known.items():
        assert key in documented, f"{key} has no row in docs/recipes.md"
        shown = documented[key][0].strip("`")
        if default is PydanticUndefined:
            assert shown == ""
        else:
            assert json.loads(shown) == json.loads(json.dumps(default)), key
    assert documented.keys() - known.keys() == {
        "dedup", "dedup.repeats", "ingest", "ingest.language", "select.clean", "select.clean.footer",
    }  # fmt: skip


def test_every_column_that_a_rule_may_judge_is_named():
    text = section(page("docs/recipes.md"), "## Rules")
    assert [name for name in SELECTABLE_DOCUMENT_COLUMNS if f"`{name}`" not in text] == []
    assert [name for name in SELECTABLE_ROBOTS_COLUMNS if f"`{name}`" not in text] == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_shipped_recipe_is_documented(recipe):
    assert f"\n### {recipe}\n" in page("docs/recipes.md")
    assert recipe in rows(section(page("README.md"), "## Recipes"))


def test_every_signal_is_documented_with_its_type_and_no_other_is():
    documented = rows(page("docs/signals.md"))
    assert {name: cells[0] for name, cells in documented.items()} == {
        name: str(signal.type) for name, signal in SIGNALS.items()
    }
    assert all(all(cells) for cells in documented.values()), "a definition or a source is empty"


def test_every_column_of_a_document_is_documented():
    documented = rows(section(page("docs/provenance.md"), "## Columns of documents and corpus"))
    assert list(documented) == DOCUMENTS.names


def test_every_column_of_clusters_is_documented():
    documented = rows(section(page("docs/deduplication.md"), "## Clusters"))
    assert [(name, cells[0]) for name, cells in documented.items()] == [
        (name, str(kind)) for name, kind in CORPUS_COLUMNS
    ]


def test_every_column_of_robots_txt_is_documented():
    assert tuple(rows(section(page("docs/provenance.md"), "## Consent"))) == ROBOTS_COLUMNS
    text = section(page("docs/consent.md"), "## robots.txt as of the crawl")
    assert [name for name in ROBOTS.names if f"`{name}`" not in text] == []


def test_every_set_of_user_agents_is_documented():
    documented = rows(section(page("docs/consent.md"), "### Whose rules count"))
    assert documented.keys() == agent_sets().keys()
    assert documented["training"][0].startswith(f"{len(agent_sets()['training'])} crawlers")


def strings_of(path: str, *callers: str) -> set[str]:
    """Reasons that a module's code gives: the first argument of these calls, and the values of "reason"."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and node.args and name in callers:
            values = [node.args[0]]
        elif isinstance(node, ast.Dict):
            values = [value for key, value in zip(node.keys, node.values) if getattr(key, "value", "") == "reason"]
        else:
            continue
        found |= {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}
    return found


def test_every_reason_of_extract_is_documented_and_no_other_is():
    code = strings_of("pipeline/extract.py", "reject") | strings_of("pipeline/responses.py", "reject")
    code |= strings_of("pipeline/web/sandbox.py", "ExtractionFailure")
    code |= strings_of("pipeline/web/extractors.py", "ExtractionFailure")
    code |= strings_of("pipeline/web/sandbox_child.py") | RECORD_ERRORS
    assert {"no_kana", "no_text", "extractor_crashed", "extraction_memory_limit", "cut_record"} <= code
    assert rows(section(page("docs/reasons.md"), "## Extract")).keys() == code


def test_every_reason_of_ingest_is_documented_and_no_other_is():
    code = set()
    for path in [ROOT / "pipeline" / "ingest.py", *(ROOT / "pipeline" / "formats").glob("*.py")]:
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        for call in calls:
            place = {"BadRow": 1, "NoText": 0}.get(getattr(call.func, "id", ""))
            if place is not None and isinstance(call.args[place], ast.Constant):
                code.add(call.args[place].value)
    assert {"no_text", "broken_json", "not_japanese"} <= code and code >= ROW_ERRORS - RECORD_ERRORS
    code |= {"cut_record", "bad_warc_header", "body_too_large"}
    code |= strings_of("pipeline/web/sandbox.py", "ExtractionFailure")
    code |= strings_of("pipeline/web/sandbox_child.py") - {"no_text"}
    table = section(page("docs/reasons.md"), "## Ingest")
    documented = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    assert {reason for reasons in documented for reason in reasons} == code | {"no_text"}


def test_every_column_that_ingest_fills_is_named():
    named = rows(section(page("docs/recipes.md"), "## Keys"))["ingest.columns"][1]
    assert set(re.findall(r"`(\w+)`", named)) == set(get_args(Column)) < set(DOCUMENTS.names)


def test_every_kind_of_reason_of_select_is_documented():
    text = section(page("docs/reasons.md"), "## Select")
    documented = rows(text)
    for signal in SIGNALS:
        for limit in NUMBER_LIMITS if SIGNALS[signal].type != "string" else ():
            reason = reason_of(Rule(signal, **{limit: 0.0}), limit)
            assert reason.replace(signal, "SIGNAL") in documented, reason
    assert reason_of(Rule("consent", none_of=("refused",)), "none_of").replace("consent", "COLUMN") in documented
    assert set(re.findall(r"`(\w+)`", documented["too_few_SIGNAL"][0])) == set(COUNTED)


def test_every_reason_of_the_shipped_recipes_is_documented_and_no_other_is():
    documented = {name for name in rows(section(page("docs/reasons.md"), "## Select")) if not re.search("[A-Z]", name)}
    given = set()
    for recipe in RECIPES:
        given |= set(reasons(load_recipe(configs_folder() / f"{recipe}.yaml").select.active_rules()))
    assert documented == given


def test_every_kind_of_duplicate_is_documented():
    assert rows(section(page("docs/reasons.md"), "## Duplicates")).keys() == set(KINDS)


def test_every_dependency_is_documented_and_no_other_is():
    project = tomllib.loads(page("pyproject.toml"))["project"]
    for heading, wanted in (
        ("## Runtime", project["dependencies"]),
        ("## Runtime, for rewriting", project["optional-dependencies"]["rewrite"]),
        ("## Development", project["optional-dependencies"]["dev"]),
    ):
        table = section(page("docs/dependencies.md"), heading)
        documented = set(re.findall(r"^\| ([\w.-]+) \|", table, re.MULTILINE)) - {"package"}
        named = {re.match(r"[\w.-]+", requirement)[0] for requirement in wanted}
        assert documented == named - {project["name"]}


def test_the_readme_shows_the_funnel_of_the_sample(sample_run):
    from pipeline.report.funnel import funnel

    printed = section(page("README.md"), "## What the demo prints")
    shown = re.findall(r"^ +([a-z_0-9][a-z_0-9 ]*?) {2,}(-?[\d,]+) +-?[\d.]+ %(?: +(-?[\d,]+))?", printed, re.MULTILINE)
    found = [
        (step.name, f"{'-' if step.removed else ''}{step.pages:,}",
         "" if step.characters is None else f"{'-' if step.removed else ''}{step.characters:,}")
        for step in funnel(sample_run.out, sample_run.job.tables)
    ]  # fmt: skip
    assert shown == found


SNIPPETS = [
    pytest.param(code, id=f"{path.name}-{number}")
    for path in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
]


def test_the_readme_and_provenance_have_code_to_run():
    assert {str(snippet.id).rsplit("-", 1)[0] for snippet in SNIPPETS} >= {"README.md", "provenance.md"}


@pytest.mark.parametrize("code", SNIPPETS)
def test_python_in_the_documentation_runs_on_the_demo(code, sample_run, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(sample_run.out)
    if "releases/demo" in code:
        ReleaseRun(sample_run.out, tmp_path / "releases" / "demo", Settings(), InProcessRunner(), Quiet()).build(False)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    promised = re.findall(r"print\(.*\)  # (.+)", code)
    assert not promised or done.stdout.splitlines() == promised


def test_recipes_in_the_documentation_load(tmp_path):
    found = re.findall(r"^```yaml\n(.*?)^```", page("docs/getting-started.md"), re.DOTALL | re.MULTILINE)
    assert found
    (tmp_path / "configs").symlink_to(configs_folder())
    for text in found:
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        recipe = load_recipe(tmp_path / "mine.yaml")
        rules = {rule.signal: rule for rule in recipe.select.rules}
        assert rules["swallow_japanese_letters"].min == 300
        assert "license_tier" in rules and "top_4gram_ratio" not in rules


def test_the_recipe_that_chooses_by_page_type_loads(tmp_path):
    text, _ = re.findall(r"^```yaml\n(.*?)^```", section(page("docs/recipes.md"), "## Rules"), re.DOTALL | re.MULTILINE)
    (tmp_path / "configs").symlink_to(configs_folder())
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    rules = {rule.signal: rule for rule in load_recipe(tmp_path / "mine.yaml").select.active_rules()}
    assert set(rules["page_type"].any_of or ()) < set(PAGE_TYPES)
    assert 0 < (rules["extraction_confidence"].min or 0) < 1
    assert "swallow_japanese_letters" in rules


@pytest.mark.parametrize("heading", ["### Shares of a run", "## Rates of hosts"])
def test_a_recipe_that_looks_at_the_whole_run_loads(tmp_path, heading):
    (text,) = re.findall(r"^```yaml\n(.*?)^```", section(page("docs/recipes.md"), heading), re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert len(load_recipe(tmp_path / "mine.yaml").select.rules) in (1, 2)


def test_the_recipe_with_a_filter_of_datatrove_loads(tmp_path):
    text = section(page("docs/recipes.md"), "### Filters of datatrove")
    (recipe,) = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.yaml").write_text(recipe, encoding="utf-8")
    assert load_recipe(tmp_path / "mine.yaml").groups().keys() == {"signals", "signals_datatrove_quality"}


def test_every_page_type_and_everything_that_can_be_capped_is_named():
    columns = rows(section(page("docs/provenance.md"), "## Columns of documents and corpus"))
    assert set(re.findall(r"`(\w+)`", columns["page_type"][1])) == set(PAGE_TYPES)
    assert set(re.findall(r"`(\w+)`", columns["capped"][1])) == {*_CAPS.values(), "blocks"}


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.is_file(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{link} has no heading"


def test_every_page_of_the_documentation_is_linked_from_the_readme():
    links = set(re.findall(r"\]\((docs/[^)#]+)", page("README.md")))
    assert {f"docs/{path.name}" for path in ROOT.glob("docs/*.md")} <= links
