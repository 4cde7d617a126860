"""Score: the labelled cases of licenses, held against what is found; `make license-score` prints it."""

from __future__ import annotations

import argparse
import hashlib
import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.web.license import LicenseFact, find_license
from pipeline.web.page import read_page

CASES = Path(__file__).parent / "license_cases"
HALVES = ("tuned", "held")
# Cases of files that begin so are in neither half.
FRESH = "fresh"
SETS = (*HALVES, FRESH)
ORDINARY_TEXT = (
    "<article><p>海辺の町では、朝早くから漁船が港を出ていきます。昼になると船は戻り、市場には魚の箱がならびます。"
    "子どもたちは堤防で釣りをし、夕方には丘の上の小さな灯台に明かりがともります。</p></article>"
)


@dataclass(frozen=True)
class Case:
    """One labelled page. `verdict` is an id and a tier; ("reserved", …) and ("unrecognised", …) have no id."""

    file: str
    name: str
    verdict: tuple[str | None, str]
    source: str | None
    disagreement: str | None
    url: str | None
    headers: dict[str, list[str]]
    html: str

    @property
    def part(self) -> str:
        """One of SETS; which half is decided by the name alone, so that adding a case moves no other."""
        if self.file.startswith(FRESH):
            return FRESH
        return HALVES[hashlib.blake2b(self.name.encode()).digest()[0] % 2]

    @property
    def declares(self) -> bool:
        """Whether the page says under what terms its text stands, in a way that can be read."""
        return self.verdict != (None, "unknown")


def _verdict(words: list[str]) -> tuple[tuple[str | None, str], str | None]:
    if words == ["none"]:
        return (None, "unknown"), None
    if words[0] in ("reserved", "unrecognised"):
        return (None, "reserved" if words[0] == "reserved" else "unknown"), words[1]
    identifier, tier, source = words
    return (identifier, tier), source


def _case(file: str, block: str) -> Case:
    name, *lines = block.strip("\n").split("\n")
    fields: dict[str, list[str]] = defaultdict(list)
    while lines and lines[0].partition(": ")[0] in ("expect", "disagreement", "url", "header", "head"):
        key, _, value = lines.pop(0).partition(": ")
        fields[key].append(value)
    html = "\n".join(lines)
    if not html.lower().startswith(("<!doctype", "<html")):
        head = "".join(fields["head"])
        html = (
            f'<!DOCTYPE html><html lang="ja"><head><meta charset="utf-8"><title>海辺の町</title>{head}</head>'
            f"<body>{ORDINARY_TEXT}{html}</body></html>"
        )
    headers: dict[str, list[str]] = defaultdict(list)
    for header in fields["header"]:
        key, _, value = header.partition(": ")
        headers[key.lower()].append(value)
    (expected,) = fields["expect"]
    verdict, source = _verdict(expected.split())
    return Case(
        file,
        name.strip(),
        verdict,
        source,
        next(iter(fields["disagreement"]), None),
        next(iter(fields["url"]), None),
        headers,
        html,
    )


def read_cases() -> list[Case]:
    """All cases, by file and in its order. Raises ValueError where two have one name."""
    cases = [
        _case(path.stem, block)
        for path in sorted(CASES.glob("*.txt"))
        for block in ("\n" + path.read_text(encoding="utf-8")).split("\n## ")[1:]
    ]
    if len({case.name for case in cases}) != len(cases):
        raise ValueError("two cases have one name")
    return cases


@dataclass
class Score:
    """Counts over cases: of pages that declare something, and of what was found."""

    cases: int = 0
    declared: int = 0
    found: int = 0
    right: int = 0
    exact: int = 0
    wrong: list[tuple[Case, LicenseFact]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Of the pages for which a license or a reservation was found, those where id and tier are right."""
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        """Of the pages that declare one, those where id and tier are right."""
        return self.right / max(self.declared, 1)


def interval(right: int, number: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (E. B. Wilson 1927, JASA 22, 209-212); (0, 1) of none."""
    if not number:
        return 0.0, 1.0
    deviations = 1.959964
    share, weight = right / number, deviations**2 / number
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(right: int, number: int) -> str:
    low, high = interval(right, number)
    return f"{right / max(number, 1):.3f} ({right}/{number}; 95 %: {low:.3f} to {high:.3f})"


def score(cases: list[Case]) -> Score:
    """Look for the license of each case's page."""
    result = Score()
    for case in cases:
        fact = find_license(read_page(case.html), case.headers, case.url)
        verdict = (fact.license, fact.tier)
        result.cases += 1
        result.declared += case.declares
        result.found += verdict != (None, "unknown")
        result.right += case.declares and verdict == case.verdict
        same = (verdict, fact.source, fact.disagreement) == (case.verdict, case.source, case.disagreement)
        result.exact += same
        if not same:
            result.wrong.append((case, fact))
    return result


def main() -> None:
    """Print the scores of all sets or some, and with --wrong each case that is not exactly as labelled; not the held
    half's, which stays one that nobody has looked at.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--set", choices=SETS, action="append")
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--file", help="only the cases of one file of the fresh set, as fresh_third")
    arguments = parser.parse_args()
    cases = read_cases()
    if arguments.file:
        arguments.set = [FRESH]
        cases = [case for case in cases if case.file == arguments.file]
        if not any(case.part == FRESH for case in cases):
            raise SystemExit(f"no file {arguments.file}.txt of the fresh set in {CASES}")
    for name in arguments.set or SETS:
        result = score([case for case in cases if case.part == name])
        print(
            f"{name:5} {result.cases} cases: precision {_share(result.right, result.found)}, "
            f"recall {_share(result.right, result.declared)}, "
            f"id, tier, source and disagreement as labelled {result.exact / result.cases:.3f}"
        )
        for case, fact in result.wrong if arguments.wrong and name != "held" else ():
            print(f"  {case.file}/{case.name}: expected {case.verdict} {case.source} {case.disagreement}, found {fact}")


if __name__ == "__main__":
    main()
