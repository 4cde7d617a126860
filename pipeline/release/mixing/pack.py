"""What a compare pack holds beside its corpora: how to train, how to evaluate, where to write down what came out."""

from __future__ import annotations

import csv
import io

from pipeline.release.card.markup import fence, name, table, yaml_text
from pipeline.release.derived_record import Derived
from pipeline.release.mixing.evaluations import evaluations
from pipeline.release.mixing.report import largest
from pipeline.release.mixing.training import MODELS, training

TRAINING = "train"
EVALUATIONS = "evaluations.yaml"
RESULTS = "results.csv"


def pack_files(record: Derived) -> dict[str, bytes]:
    """The files of a pack beside its data, by path."""
    settings = record.settings
    given = (largest(record)[0].wanted, settings["vocabulary"], settings["seed"])
    files = {f"{TRAINING}/{model}.yaml": yaml_text(training(model, *given)).encode() for model in settings["models"]}
    return files | {EVALUATIONS: yaml_text({"suites": evaluations()}).encode(), RESULTS: _results(record)}


def _results(record: Derived) -> bytes:
    """A line for each model, corpus and task, to be filled in."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["model", "corpus", "tokens", "training_seed", "suite", "task", "shots", "score"])
    for model in record.settings["models"]:
        for budget in largest(record):
            for suite in evaluations():
                for task in suite["tasks"]:
                    known = [model, budget.corpus, budget.wanted, "", suite["suite"], task["name"], task["shots"], ""]
                    lines.writerow(known)
    return out.getvalue().encode()


def instructions(record: Derived) -> list[str]:
    """How to train on a pack and compare, as Markdown."""
    first = largest(record)[0]
    models = {model: MODELS[model] for model in record.settings["models"]}
    shapes = [
        [
            name(f"train/{key}.yaml"),
            *(f"{part:,}" for part in (each.layers, each.width, each.heads, each.inner)),
            ", ".join(map(name, each.not_found)),
        ]
        for key, each in models.items()
    ]
    sequence = next(iter(models.values())).sequence
    code = f"""import itertools
import os
from datasets import load_dataset
from tokenizers import Tokenizer

TOKENS, SEQUENCE = {first.wanted}, {sequence}
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.no_truncation()
tokenizer.no_padding()
tokenizer.encode_special_tokens = True  # no text can end a document
end = {_end(record)}
rows = load_dataset(os.path.abspath("."), "{first.config}", split="train", streaming=True)
stream = itertools.chain.from_iterable(
    tokenizer.encode(row["text"], add_special_tokens=False).ids + end for row in rows
)
for step in range(TOKENS // SEQUENCE):
    sequence = list(itertools.islice(stream, SEQUENCE))  # the same for everybody"""
    return [
        "1. Check that you have what everybody has:",
        fence("sha256sum -c SHA256SUMS", "sh"),
        "2. Choose models, and train each on every corpus with the same code, seed and settings. `train/` has what is "
        "known of how others trained theirs to compare corpora, with the vocabulary of the tokenizer here. Their "
        "warmup keeps its share of the steps, which is this pack's choice. What was not found of theirs is to be "
        "chosen once for all corpora:",
        table(["configuration", "layers", "hidden size", "heads", "ffn size", "not found"], shapes),
        "3. Feed each corpus in the order of its files, its documents one after the other, cut into sequences. All "
        "corpora have at least the tokens that are trained on; stop there:",
        fence(code, "python"),
        f"4. Evaluate every model on the suites of `{EVALUATIONS}` with the number of examples that they give, write "
        f"the scores into `{RESULTS}`, and compare models of one size at equal tokens. Train the smallest with several "
        "seeds: differences smaller than those between seeds say nothing.",
    ]


def _end(record: Derived) -> str:
    ends = record.settings["eos"]
    return "[]" if ends is None else f"[tokenizer.token_to_id({ends!r})]"
