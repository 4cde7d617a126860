"""Evaluations for models trained on a compare pack: those of open-sci-ref, of DCLM and of the Swallow project."""

from __future__ import annotations

from typing import Any

# Tasks by number of examples shown. Names are those of each suite's tool.
_OPEN_SCI_REF = {
    0: "copa openbookqa lambada_openai winogrande social_iqa",
    5: "mmlu mmlu_pro",
    10: "commonsense_qa piqa arc_challenge arc_easy hellaswag boolq",
}
_DCLM_CORE = {
    0: "hellaswag_zeroshot copa openbook_qa lambada_openai winograd winogrande coqa",
    3: "agi_eval_lsat_ar",
    10: "jeopardy bigbench_qa_wikidata arc_easy arc_challenge commonsense_qa piqa hellaswag bigbench_dyck_languages "
    "bigbench_cs_algorithms bigbench_operators bigbench_repeat_copy_logic squad boolq bigbench_language_identification",
}
# Task, measure, examples shown.
_SWALLOW = [
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


def evaluations() -> list[dict[str, Any]]:
    """The suites, each with source, tool, language, and its tasks with the number of examples shown."""
    return [
        {
            "suite": "open-sci-ref",
            "source": "open-sci-ref 0.01, arXiv 2509.09009",
            "tool": "lm-evaluation-harness",
            "language": "en",
            "tasks": _tasks(_OPEN_SCI_REF),
        },
        {
            "suite": "dclm-core",
            "source": "DCLM, arXiv 2406.11794, mlfoundations/dclm eval/mmlu_and_lowvar.yaml",
            "tool": "mlfoundations/dclm eval/eval_openlm_ckpt.py",
            "language": "en",
            "tasks": _tasks(_DCLM_CORE),
        },
        {
            "suite": "swallow",
            "source": "Swallow project 2024, https://swallow-llm.github.io/evaluation/about.en.html",
            "tool": "swallow-evaluation, which runs llm-jp-eval and others",
            "language": "ja",
            "tasks": [{"name": name, "shots": shots, "measure": measure} for name, measure, shots in _SWALLOW],
        },
    ]


def _tasks(by_shots: dict[int, str]) -> list[dict[str, Any]]:
    return [{"name": name, "shots": shots} for shots, names in by_shots.items() for name in names.split()]
