"""Which tables of signals a recipe needs: a group is measured when a rule or a column asks for one of its signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from filters.assets import Asset
from filters.groups import make_group
from filters.signal import Signal

TEXT_TABLE = "signals"


@dataclass(frozen=True)
class GroupSettings:
    """What makes a table of signals: the kind of its group and its settings, as JSON values."""

    kind: str
    settings: dict[str, Any]

    def signals(self) -> tuple[Signal, ...]:
        """The signals that the table holds."""
        return make_group(self.kind, self.settings).signals


def unread(path: str) -> Asset:
    """An asset whose bytes were not looked at: enough to know which signals there are."""
    return Asset(path, "")


def signal_tables(groups: dict[str, GroupSettings]) -> dict[str, str]:
    """By signal, the table that holds it. Raises ValueError when two tables have a signal of one name."""
    found: dict[str, str] = {}
    for table, group in groups.items():
        for signal in group.signals():
            if signal.name in found:
                raise ValueError(f"two groups of signals have a signal {signal.name!r}: give one another name")
            found[signal.name] = table
    return found


def needed(groups: dict[str, GroupSettings], signals: Iterable[str]) -> list[str]:
    """The tables that hold these signals, that of the text alone always, in their order."""
    tables = signal_tables(groups)
    wanted = {TEXT_TABLE} | {tables[name] for name in signals if name in tables}
    return [table for table in groups if table in wanted]


ReadAsset = Callable[[str], Asset]
