"""What a compare pack holds beside its corpora: configurations for training, evaluations, how to go about it, digests.

Sizes, optimiser and English evaluations are those of open-sci-ref 0.01 (Nezhurina et al. 2025, arXiv 2509.09009, and
laion.ai/blog/open-sci-ref-001), which trained reference models on open corpora to compare them; those of 0.13B as
others quote them. Weight decay, the betas of Adam and the length of the cooldown were not found and are left out.
Japanese evaluations are the Swallow project's of 2024 (swallow-llm/evaluation, about.en.md).
"""

from __future__ import annotations

from typing import Any

from pipeline.files import atomic_file
from pipeline.release.card.markup import fence, name, table, yaml_text
from pipeline.release.derived_record import Derived
from pipeline.release.mixing.report import largest
from pipeline.storage.places import Place

CHECKSUMS = "SHA256SUMS"
EVALUATIONS = "evaluations.yaml"
# Layers, width, attention heads, width of the feed-forward block.
_SHAPES = {"0.13B": (22, 512, 8, 2256), "0.4B": (22, 1024, 16, 3840), "1.7B": (24, 2048, 32, 8192)}
SEQUENCE = 4096
SEQUENCES_A_STEP = 1000
LEARNING_RATE = 4e-3
# Of a run of 300 billion tokens.
WARMUP_STEPS, WARMUP_TOKENS = 25_000, 300 * 10**9
# Their vocabulary, 50,304, is a multiple of this one, as Megatron-LM pads it by default.
PADDED_TO = 128
NOT_FOUND = ["weight_decay", "adam_beta1", "adam_beta2", "cooldown_steps"]

# By number of examples shown, names of tasks of lm-evaluation-harness.
OPEN_SCI_REF = {
    0: ["copa", "openbookqa", "lambada_openai", "winogrande", "social_iqa"],
    5: ["mmlu", "mmlu_pro"],
    10: ["commonsense_qa", "piqa", "arc_challenge", "arc_easy", "hellaswag", "boolq"],
}
# Name, measure, examples shown.
SWALLOW = [
    ("JCommonsenseQA", "accuracy", 4),
    ("JEMHopQA", "character F1", 4),
    ("NIILC", "character F1", 4),
    ("JSQuAD", "character F1", 4),
    ("XL-Sum", "ROUGE-2", 1),
    ("MGSM", "exact match", 4),
    ("WMT20 en-ja", "BLEU", 4),
    ("WMT20 ja-en", "BLEU", 4),
    ("JMMLU", "accuracy", 5),
    ("JHumanEval", "pass@1 of 10 trials", 0),
]


def parameters(size: str, vocabulary: int) -> int:
    """Weights of a model's matrices: attention, a gated feed-forward block, and one for embeddings and output."""
    layers, width, _, inner = _SHAPES[size]
    return layers * (4 * width * width + 3 * width * inner) + vocabulary * width


def training(size: str, tokens: int, vocabulary: int, seed: int) -> dict[str, Any]:
    """The configuration of a model's training on so many tokens, the same for every corpus of a pack."""
    layers, width, heads, inner = _SHAPES[size]
    padded = -(-vocabulary // PADDED_TO) * PADDED_TO
    steps = tokens // (SEQUENCES_A_STEP * SEQUENCE)
    return {
        "source": "open-sci-ref 0.01, arXiv 2509.09009",
        "model": {
            "layers": layers,
            "hidden_size": width,
            "attention_heads": heads,
            "ffn_hidden_size": inner,
            "activation": "silu, gated",
            "qk_layernorm": True,
            "tied_embeddings": True,
            "position": "rope",
            "rope_theta": 10_000,
            "vocabulary": vocabulary,
            "padded_vocabulary": padded,
            "parameters": parameters(size, padded),
        },
        "training": {
            "tokens": tokens,
            "sequence_length": SEQUENCE,
            "sequences_a_step": SEQUENCES_A_STEP,
            "steps": steps,
            "schedule": "warmup, stable, decay",
            "learning_rate": LEARNING_RATE,
            "warmup_steps": round(WARMUP_STEPS * tokens / WARMUP_TOKENS),
            "data_seed": seed,
            "data_order": "as the files have it, no shuffling",
        },
        "not_found": NOT_FOUND,
    }


def evaluations() -> dict[str, Any]:
    """The evaluations, English and Japanese."""
    return {
        "english": {
            "source": "open-sci-ref 0.01, arXiv 2509.09009",
            "tool": "lm-evaluation-harness",
            "tasks": [{"name": task, "shots": shots} for shots, tasks in OPEN_SCI_REF.items() for task in tasks],
        },
        "japanese": {
            "source": "Swallow project 2024, https://swallow-llm.github.io/evaluation/about.en.html",
            "tool": "swallow-evaluation",
            "tasks": [{"name": task, "shots": shots, "measure": measure} for task, measure, shots in SWALLOW],
        },
    }


def pack_files(record: Derived) -> dict[str, bytes]:
    """The files of a pack beside its data, by path."""
    settings = record.settings
    tokens = largest(record)[0].wanted
    files = {
        f"train/{size}.yaml": yaml_text(training(size, tokens, settings["vocabulary"], settings["seed"])).encode()
        for size in settings["sizes"]
    }
    return files | {EVALUATIONS: yaml_text(evaluations()).encode()}


def checksums(record: Derived) -> bytes:
    """The digests of all files as `sha256sum -c` reads them."""
    parts = {file.path: file.sha256 for file in record.files} | {part.path: part.sha256 for part in record.others}
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(parts.items())).encode()


def write_checksums(place: Place, record: Derived) -> None:
    """Write the digests of all files but the card, the record and themselves."""
    with atomic_file(place / CHECKSUMS) as file:
        file.write(checksums(record))


def instructions(record: Derived) -> list[str]:
    """How to train on a pack and compare, as Markdown."""
    budgets = largest(record)
    shapes = [
        [name(f"train/{size}.yaml"), *(f"{part:,}" for part in _SHAPES[size])] for size in record.settings["sizes"]
    ]
    code = f"""import itertools
import os
from datasets import load_dataset
from tokenizers import Tokenizer

TOKENS = {budgets[0].wanted}
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.no_truncation()
tokenizer.no_padding()
tokenizer.encode_special_tokens = True  # no text can end a document
end = {_end(record)}
rows = load_dataset(os.path.abspath("."), "{budgets[0].config}", split="train", streaming=True)
stream = itertools.chain.from_iterable(
    tokenizer.encode(row["text"], add_special_tokens=False).ids + end for row in rows
)
sequences = iter(lambda: list(itertools.islice(stream, {SEQUENCE})), [])
for step in range(TOKENS // {SEQUENCE}):
    sequence = next(sequences)  # {SEQUENCE:,} tokens, the same for everybody"""
    return [
        "1. Check that you have what everybody has:",
        fence(f"sha256sum -c {CHECKSUMS}", "sh"),
        "2. Train one model of each size on each corpus, all with the same code, seeds and settings. "
        "`train/SIZE.yaml` has what is known of open-sci-ref 0.01, with the vocabulary of the tokenizer here. Its "
        "warmup is known for 300 billion tokens and keeps its share of the steps here, which is this pack's choice. "
        f"Not found, and so to be chosen once for all corpora: {', '.join(map(name, NOT_FOUND))}.",
        table(["configuration", "layers", "hidden size", "heads", "ffn size"], shapes),
        "3. Feed each corpus in the order of its files, its documents one after the other, cut into sequences. All "
        "corpora have at least the tokens that are trained on; stop there:",
        fence(code, "python"),
        f"4. Evaluate every model on what `{EVALUATIONS}` lists, with the number of examples that it gives, and "
        "compare models of one size at equal tokens. Differences smaller than those between two seeds say nothing.",
    ]


def _end(record: Derived) -> str:
    ends = record.settings["eos"]
    return "[]" if ends is None else f"[tokenizer.token_to_id({ends!r})]"
