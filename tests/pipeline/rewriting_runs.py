"""Small runs to rewrite: an OUT folder with a documents table of a few texts, and a model that is a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from aiohttp import web

from pipeline.files import TableWriter, write_json
from pipeline.ledger import Entry
from pipeline.rewrite_run import RewritingRun
from pipeline.rewriting.recipe import load_rewriting_recipe
from pipeline.runner import InProcessRunner
from pipeline.schemas import DOCUMENTS, SCHEMA_VERSION
from tests.pipeline.conftest import Quiet
from tests.rewriting.scripted_server import Behaviour, completion, words


def made_out(out: Path, texts: dict[str, str], shards: int = 2, **columns: Any) -> Path:
    """A run's folder with a documents table: by id each text, dealt out over shards."""
    folder = out / "documents-made"
    folder.mkdir(parents=True)
    for number in range(shards):
        rows = [
            dict.fromkeys(DOCUMENTS.names)
            | {"id": key, "text": text, "url": f"https://a.example/{key}", "license": "CC-BY-4.0"}
            | {"license_tier": "attribution", **columns}
            for place, (key, text) in enumerate(texts.items())
            if place % shards == number
        ]
        entry = Entry(f"shard-{number}", "extract", read=len(rows), written=len(rows))
        with TableWriter(folder / f"shard-{number}.parquet", DOCUMENTS) as file:
            file.write(pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS))
        entry.output("documents", file.written())
        entry.save(folder)
    run = {"recipe": {"name": "made"}, "tables": {"documents": folder.name}, "waived": {}}
    write_json(out / "run.json", {"schema_version": SCHEMA_VERSION, "recipes": {"made": run}, "latest": "made"})
    return out


def model(answer: Callable[[str], str]) -> Behaviour:
    """A model that answers a prompt by a function of its last message."""

    async def behave(request: web.Request, payload: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(completion(answer(words(payload))))

    return behave


def written_recipe(folder: Path, steps: list[dict[str, Any]], url: str = "http://127.0.0.1:9/v1", **more: Any) -> Path:
    """A rewriting recipe as a file, with a generator and one endpoint."""
    recipe: dict[str, Any] = {"name": "mine", "reads": "documents", "steps": steps}
    recipe["generator"] = {"model": "m", "license": "Apache-2.0", "license_tier": "attribution", "training": "allowed"}
    recipe["client"] = {"endpoints": [{"url": url}], "timeout_seconds": 5, "attempts": 2, "first_backoff_seconds": 0.01}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(recipe | more, allow_unicode=True), encoding="utf-8")
    return path


def rewrite(out: Path, recipe: Path, *overrides: str, **more: Any) -> RewritingRun:
    """Do all steps in this process."""
    run = RewritingRun(load_rewriting_recipe(recipe, overrides), out, InProcessRunner(), Quiet(), **more)
    run.execute()
    return run
