"""The demonstration of rewriting: a small real model on a real server rewrites ten pages and ten files (rewrite-demo).

The model has 135 million parameters and mostly fails: that is what the checks are to catch.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.model_server import running_model
from pipeline.progress import Progress
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.rewriting import print_steps, report_of, steps_of
from pipeline.report.rewriting_page import write_page
from pipeline.rewrite_dry_run import copy_rows, sampled
from pipeline.rewrite_run import RewritingRun
from pipeline.rewriting.recipe import find_rewriting_recipe, load_rewriting_recipe
from pipeline.run import Run
from pipeline.runner import InProcessRunner

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """
name: files
ingest:
  format: jsonl
  text: text
  keep: [path]
  sources:
    kamisuki: {files: "*", license: Apache-2.0, license_evidence: the project's LICENSE}
"""
SAMPLE = ROOT / "tests" / "data" / "sample.warc.gz"


def main() -> int:
    """Rewrite and print what came of it; 1 where a row has neither a text nor a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", type=Path, required=True, help="python of the environment with server and model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10, help="pages and files each")
    parser.add_argument("--tokens", type=int, default=200, help="most tokens of an answer")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    pages, code = out / "pages", out / "code"
    _pages(out / "sample", pages, arguments.rows)
    _files(out, code, arguments.rows)
    console = Console(markup=False, highlight=False, width=160)
    lost = 0
    with running_model(arguments.server, threads=2) as url:
        for place, recipe, step in ((pages, "rephrase-ja", "rephrased"), (code, "swallowcode-v1", "style")):
            settings = [f"client.endpoints=[{{url: {url!r}}}]", "client.in_flight=4"]
            # The model seldom comes to an end by itself: what it wrote until then is what the checks look at.
            for name in dict.fromkeys((step, "self_contained" if recipe == "swallowcode-v1" else step)):
                settings += [f"steps.{name}.ask.parameters.max_tokens={arguments.tokens}", f"steps.{name}.ask.cut=kept"]
            if recipe == "rephrase-ja":
                # Japanese costs this model's tokenizer some three tokens a letter.
                settings += [
                    "reads=documents",
                    f"steps.{step}.ask.chunk.characters=400",
                    f"steps.{step}.ask.attempts=1",
                ]
            chosen = load_rewriting_recipe(find_rewriting_recipe(recipe), tuple(settings))
            RewritingRun(chosen, place, InProcessRunner(), Progress(None)).execute()
            steps = steps_of(place, recipe)
            print_steps(console, steps)
            lost += sum(each.rows_in - each.rows_out - sum(each.dropped.values()) for each in steps)
            write_page(out / f"{recipe}.html", report_of(place, recipe, 30))
            console.print(f"report: {out / recipe}.html", soft_wrap=True)
    return 1 if lost else 0


def _pages(run: Path, there: Path, rows: int) -> None:
    """Some pages of the sample's corpus as documents of a run of their own."""
    job = Run(load_recipe(find_recipe("demo")), run, InProcessRunner(), Progress(None))
    job.execute([str(SAMPLE)])
    folder = run / job.tables["corpus"]
    copy_rows(folder, sampled(folder, rows)[0], there, "documents")


def _files(out: Path, there: Path, rows: int) -> None:
    """Some of this project's own files, through ingest."""
    files = sorted((ROOT / "filters").glob("*.py"))[:rows]
    records = [{"text": path.read_text(encoding="utf-8"), "path": f"filters/{path.name}"} for path in files]
    source = out / "files.jsonl"
    source.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    recipe = out / "files.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    Run(load_recipe(recipe), there, InProcessRunner(), Progress(None)).execute([str(source)], last="ingest")


if __name__ == "__main__":
    sys.exit(main())
