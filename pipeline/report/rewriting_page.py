"""The report of a rewriting as one HTML page: tables, and pairs side by side with their differences."""

from __future__ import annotations

import difflib
from html import escape
from pathlib import Path

from pipeline.files import atomic_file
from pipeline.report.rewriting import QUANTILES, Pair, Report

_STYLE = """
body { font: 15px/1.6 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #ddd; }
td.n { text-align: right; } .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
pre { white-space: pre-wrap; background: #f7f7f5; padding: .8rem; max-height: 30rem; overflow: auto; }
del { background: #fdd; } ins { background: #dfd; text-decoration: none; }
"""


def write_page(path: Path, report: Report) -> None:
    """Write the page. Texts are escaped: a page that was rewritten cannot run anything here."""
    parts = [f"<!doctype html><meta charset=utf-8><title>{escape(report.recipe)}</title><style>{_STYLE}</style>"]
    parts.append(f"<h1>{escape(report.recipe)}</h1><h2>Steps</h2><table><tr>")
    names = ("step", "rows in", "rows out", "fell back", "tokens in", "tokens out", "cost")
    parts.append("".join(f"<th>{name}" for name in names) + "<th>dropped, by reason")
    for step in report.steps:
        counts = (step.rows_in, step.rows_out, step.fell_back, step.tokens_in, step.tokens_out)
        parts.append(f"<tr><td>{escape(step.name)}" + "".join(f"<td class=n>{count:,}" for count in counts))
        reasons = ", ".join(f"{escape(reason)} {count:,}" for reason, count in step.dropped.items())
        parts.append(f"<td class=n>{step.money:,.4f}<td>{reasons}")
    parts.append("</table><h2>Checks</h2><table>")
    for step in report.steps:
        for name, words in report.passed.get(step.name, {}).items():
            told = ", ".join(f"{escape(word)} {count:,}" for word, count in words.items())
            parts.append(f"<tr><td>{escape(step.name)}<td>{escape(name)}<td>{told}")
        for name, found in report.drift.get(step.name, {}).items():
            told = ", ".join(f"{share:.0%}: {value:.3g}" for share, value in zip(QUANTILES, found, strict=True))
            parts.append(f"<tr><td>{escape(step.name)}<td>{escape(name)}<td>{told}")
    parts.append("</table><h2>Pairs</h2>")
    parts += [_pair(number, pair) for number, pair in enumerate(report.pairs, 1)]
    with atomic_file(path) as file:
        file.write("\n".join(parts).encode("utf-8", "replace"))


def _pair(number: int, pair: Pair) -> str:
    measured = ", ".join(f"{name} {value}" for name, value in pair.measured.items() if value is not None)
    before, after = _marked(pair.before, pair.after)
    head = f"<h3>{number}. {escape(pair.step)}: {escape(pair.url or pair.id)}</h3><p>{escape(measured)}</p>"
    return f"{head}<div class=pair><pre>{before}</pre><pre>{after}</pre></div>"


def _marked(before: str, after: str) -> tuple[str, str]:
    """Both texts by line, with what went and what came marked."""
    old, new = before.split("\n"), after.split("\n")
    left, right = [], []
    for kind, first, last, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("\n".join(old[first:last])), escape("\n".join(new[start:end]))
        left.append(gone if kind == "equal" else f"<del>{gone}</del>")
        right.append(come if kind == "equal" else f"<ins>{come}</ins>")
    return "\n".join(left), "\n".join(right)
