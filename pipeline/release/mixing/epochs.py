"""How often sources are gone through, and the error where that is more often than their manifest allows."""

from __future__ import annotations

from fractions import Fraction

from pipeline.errors import UsageError
from pipeline.release.mixing.manifest import tokens_name
from pipeline.release.mixing.plan import Stream, Taken
from pipeline.wording import counted


def epochs_needed(share: Fraction, budget: int, tokens: int) -> Fraction:
    """How often a source of so many tokens is gone through for its share of a budget."""
    return share * budget / tokens


def check_epochs(streams: list[Stream], taken: list[Taken], force: bool) -> bool:
    """Whether a source has too few tokens for the largest budget under its most epochs and was forced.

    Raises UsageError where it was not forced, and where a source has no tokens. Rows that
    several sources of one mix hold count for all of them.
    """
    most = {each.source.name: each.max_epochs for each in taken}
    for stream in streams:
        for lane in stream.lanes:
            if not lane.total:
                raise UsageError(f"{lane.name} has no tokens: take another release or config")
    found = [problem for stream in streams for problem in _too_often(stream, most)]
    if found and not force:
        raise UsageError(f"{'; '.join(found)}: lower the budget or the shares, or give --force")
    return bool(found)


def _too_often(stream: Stream, most: dict[str, float]) -> list[str]:
    budget = stream.budgets[-1]
    needed = {
        lane.name: epochs_needed(share, budget, lane.total)
        for lane, share in zip(stream.lanes, stream.shares, strict=True)
    }
    problems = [
        f"{lane.name} has {counted(lane.total, 'token')}; {tokens_name(budget)} takes {int(share * budget):,} of it, "
        f"which is {float(needed[lane.name]):,.2f} epochs, and max_epochs is {most[lane.name]:g}"
        for lane, share in zip(stream.lanes, stream.shares, strict=True)
        if needed[lane.name] > most[lane.name]
    ]
    if problems:
        return problems
    together: dict[tuple[str, ...], str] = {}
    holders: dict[str, list[str]] = {}
    for lane in stream.lanes:
        for file in lane.files:
            holders.setdefault(file.data, []).append(lane.name)
    for path, names in holders.items():
        if sum(needed[name] for name in names) > max(most[name] for name in names):
            together.setdefault(tuple(names), path)
    return [
        f"{' and '.join(names)} hold the same rows ({path}), which are gone through "
        f"{float(sum(needed[name] for name in names)):,.2f} times, and max_epochs is "
        f"{max(most[name] for name in names):g}"
        for names, path in together.items()
    ]
