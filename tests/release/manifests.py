"""Manifests made by hand, plain and hostile."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import strategies as st

from pipeline.recipe import find_recipe, load_recipe
from pipeline.release.manifest import (
    Config,
    File,
    FunnelStep,
    LicenseCount,
    Manifest,
    Policy,
    Prompt,
    Rewriting,
    SourceCount,
    Takedown,
)
from pipeline.release.manifest import Task as Part

SEED, SHARE = 1, 0.01
DAY = datetime.date(2026, 11, 26)


def corpus_task(**changed: Any) -> Part:
    recipe = load_recipe(find_recipe("demo")).model_dump(mode="json")
    made: dict[str, Any] = {
        "name": "demo",
        "kind": "corpus",
        "recipe": recipe,
        "columns": [("id", "string"), ("text", "string"), ("fetched_at", "timestamp[us, tz=UTC]")],
        "rows_in": 12,
        "left_out": {"consent_refused": 2},
        "funnel": [
            FunnelStep(name="records read", rows=100, characters=None),
            FunnelStep(name="no_kana", rows=80, characters=None, removed=True),
            FunnelStep(name="documents", rows=20, characters=9000),
            FunnelStep(name="too_few_japanese_letters", rows=7, characters=900, removed=True),
            FunnelStep(name="duplicate_exact", rows=1, characters=100, removed=True),
            FunnelStep(name="corpus", rows=12, characters=8000),
        ],
        "sources": [SourceCount(source="CC-MAIN-2024-22", rows=10, characters=7000, first=DAY, last=DAY)],
        "licenses": [
            LicenseCount(license="CC-BY-4.0", tier="attribution", rows=4, characters=3000),
            LicenseCount(license=None, tier="unknown", rows=6, characters=4000),
        ],
        "languages": {"ja": 10},
        "consent": {"unknown": 10},
        "waived": {},
        "versions": {"pyarrow": "26.0"},
    }
    return Part.model_validate(made | changed)


def manifest(tasks: list[Part] | None = None, **changed: Any) -> Manifest:
    """A manifest of a release of one cell a task and 10 rows a cell, one of them for validation."""
    parts = tasks or [corpus_task()]
    made: dict[str, Any] = {
        "name": "Demo",
        "date": DAY,
        "kamisuki": "0.1.0",
        "seed": SEED,
        "validation": SHARE,
        "by": ["license_tier"],
        "policy": Policy(license_tiers=None, refused_consent=False),
        "tasks": parts,
        "configs": [Config(name=part.name, task=part.name, cells=[f"{part.name}-none"]) for part in parts]
        + [
            Config(name=cell, task=part.name, values={"license_tier": "none"}, cells=[cell])
            for part in parts
            for cell in [f"{part.name}-none"]
        ],
        "files": [
            File(
                path=f"data/{part.name}-none/{split}-00000-of-00001.parquet", config=f"{part.name}-none", split=split,
                rows=rows, characters=700 * rows, bytes=1000, sha256="0" * 64,
            )
            for part in parts
            for split, rows in (("train", 9), ("validation", 1))
        ],
    }  # fmt: skip
    return Manifest.model_validate(made | changed)


def hostile_rewritings(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Manifest]:
    """Manifests of a rewritten part with any text in recipe, prompts and what the run says of itself."""
    asks = st.none() | st.fixed_dictionaries({"prompt": texts, "answer": texts})
    steps = st.fixed_dictionaries(
        {"name": texts, "ask": asks, "checks": st.lists(texts, max_size=2), "otherwise": texts}
    )
    generators = st.fixed_dictionaries(dict.fromkeys(("model", "license", "license_tier", "training"), texts))
    recipes = st.fixed_dictionaries({"generator": st.none() | generators, "steps": st.lists(steps, max_size=2)})
    messages = st.lists(st.tuples(texts, texts), min_size=1, max_size=2)
    prompts = st.builds(Prompt, step=texts, name=texts, digest=texts, messages=messages)
    rewriting = st.builds(
        Rewriting,
        of=texts,
        reads=texts,
        source_recipe=st.dictionaries(texts, texts, max_size=2),
        prompts=st.lists(prompts, max_size=2),
        fell_back=st.dictionaries(texts, st.integers(0, 9), max_size=2),
    )
    return st.builds(
        lambda recipe, how: manifest([corpus_task(kind="rewritten", recipe=recipe, rewriting=how)]), recipes, rewriting
    )


def hostile_manifests(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Manifest]:
    """Manifests with any text wherever something from outside may stand."""
    counts = st.integers(0, 10**12)
    sources = st.lists(st.builds(SourceCount, source=texts, rows=counts, characters=counts), max_size=3)
    licenses = st.lists(
        st.builds(LicenseCount, license=st.none() | texts, tier=texts, rows=counts, characters=counts), max_size=3
    )
    named = st.dictionaries(texts, counts, max_size=3)
    words = st.dictionaries(texts, texts, max_size=3)
    rules = st.lists(
        st.fixed_dictionaries({"signal": texts, "source": texts, "min": st.none() | st.floats(-5, 5)}), max_size=3
    )
    recipes = st.fixed_dictionaries(
        {
            "name": texts,
            "description": texts,
            "notes": words,
            "select": st.fixed_dictionaries({"rules": rules}),
            "dedup": st.none() | words,
        }
    )
    steps = st.builds(FunnelStep, name=texts, rows=counts, characters=counts, removed=st.booleans())
    tasks = st.builds(
        corpus_task,
        recipe=recipes,
        sources=sources,
        licenses=licenses,
        languages=named,
        consent=named,
        waived=words,
        versions=words,
        left_out=named,
        columns=st.lists(st.tuples(texts, texts), max_size=3),
        funnel=st.lists(steps, max_size=3),
    )
    takedowns = st.builds(Takedown, date=st.dates(), reason=texts, by=named, rows=counts)
    return st.builds(
        lambda task, name, contact, seen: manifest([task], name=name, contact=contact, takedowns=seen),
        tasks,
        texts,
        st.none() | texts,
        st.lists(takedowns, max_size=2),
    )
