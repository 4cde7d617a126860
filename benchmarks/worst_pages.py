"""The pages on which our main text is worst, beside their gold, with what went wrong, in one Markdown table.

    python -m benchmarks.worst_pages --data ../shared/data [--count 30] [--sets ja-sites web]

Texts are those of models that saw no page of the same group, as `make train-extractor` left them in build/.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.extract import SETS, score_ours, shown, shown_id, table, uncovered_runs
from pipeline.web.main_text.feature_names import FEATURES
from training.examples import Example, make_example
from training.labels import label_blocks, squeeze
from training.pages import load_pages
from training.score import Score, score

COUNT = 30
# Below this part of its gold a page cannot be read, whatever is chosen of it.
_HOLDS = 0.5
# A block is made of links when this many thousandths of its letters are.
_LINKED = 400
_LINK_SHARE, _IS_PROSE = FEATURES.index("link_share"), FEATURES.index("is_prose")


def _kind(example: Example, row: int) -> str:
    if example.features[_LINK_SHARE, row] > _LINKED:
        return "links"
    return "sentences" if example.features[_IS_PROSE, row] else "lines without a sentence"


def _most(example: Example, have: Sequence[float], lack: Sequence[float]) -> tuple[str, int]:
    """What most of the blocks are made of that one text has and another lacks, and the letters of all of these."""
    letters: Counter[str] = Counter()
    for row, text in enumerate(example.texts):
        if have[row] >= 0.5 > lack[row]:
            letters[_kind(example, row)] += len(squeeze(text))
    return (letters.most_common(1)[0][0], letters.total()) if letters else ("", 0)


def reason(example: Example, text: str, found: Score) -> str:
    """Why a page's text differs from its gold, as far as its blocks tell."""
    holds = score("\n".join(example.texts), example.page.gold).recall
    if holds < _HOLDS:
        return f"the page as sent holds {holds:.0%} of the gold: the rest comes by script, or is of another page"
    chosen = label_blocks(example.texts, text).tolist()
    wanted = example.labels.tolist()
    (extra, extra_letters), (missing, missing_letters) = _most(example, chosen, wanted), _most(example, wanted, chosen)
    if not extra_letters and not missing_letters:
        return "the gold parts what stands in one block"
    if found.precision < found.recall:
        return f"{extra_letters:,} letters too many, most in {extra}"
    return f"{missing_letters:,} letters too few, most in {missing}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.worst_pages", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev/, web/ and train/")
    parser.add_argument("--count", type=int, default=COUNT, help="how many pages (%(default)s)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME", help=f"of {SETS}")
    options = parser.parse_args(arguments)
    pages = [page for page in load_pages(options.data) if page.set in options.sets and page.holds_its_gold]
    scores, texts = score_ours(pages)
    rows = []
    for page in sorted(pages, key=lambda page: (scores[page.id].f1, page.id))[: options.count]:
        found, text = scores[page.id], texts[page.id]
        rows.append(
            [
                f"{page.set} {page.page_type or ''}".strip(),
                shown_id(page.id),
                *(f"{value:.2f}" for value in (found.f1, found.precision, found.recall)),
                shown(uncovered_runs(page.gold, text)),
                shown(uncovered_runs(text, page.gold)),
                reason(make_example(page), text, found),
            ]
        )
    header = ["set, type", "page", "F1", "precision", "recall", "gold has (letters)", "ours has (letters)", "reason"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
