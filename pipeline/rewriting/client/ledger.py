"""The ledger of tokens: sums of requests, tokens, seconds and money by outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.rewriting.client.budget import Prices
from pipeline.rewriting.client.messages import Answer

ANSWERED = "answered"


@dataclass
class Sums:
    """Of one outcome: requests, how many of them came out of the cache, and attempts, tokens and seconds of the others.

    Seconds are those of the last attempts, added up over requests that ran at the same time.
    """

    requests: int = 0
    from_cache: int = 0
    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


@dataclass
class TokenLedger:
    """Sums by outcome, which is `answered` or a reason. What came out of the cache cost nothing now."""

    outcomes: dict[str, Sums] = field(default_factory=dict)

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> TokenLedger:
        """The ledger of some answers."""
        ledger = cls()
        for answer in answers:
            ledger.add(answer)
        return ledger

    def add(self, answer: Answer) -> None:
        """Enter one answer."""
        sums = self.outcomes.setdefault(answer.reason or ANSWERED, Sums())
        sums.requests += 1
        sums.from_cache += answer.from_cache
        if not answer.from_cache:
            sums.attempts += answer.attempts
            sums.tokens_in += answer.tokens_in
            sums.tokens_out += answer.tokens_out
            sums.seconds += answer.seconds

    def merge(self, record: dict[str, dict[str, Any]]) -> None:
        """Add another ledger's `as_record`."""
        for outcome, values in record.items():
            sums = self.outcomes.setdefault(outcome, Sums())
            for name, value in values.items():
                setattr(sums, name, getattr(sums, name) + value)

    def total(self) -> Sums:
        """Over all outcomes."""
        total = TokenLedger()
        for sums in self.outcomes.values():
            total.merge({"all": asdict(sums)})
        return total.outcomes.get("all", Sums())

    def money(self, prices: Prices) -> float:
        """What the tokens cost."""
        total = self.total()
        return prices.of(total.tokens_in, total.tokens_out)

    def as_record(self) -> dict[str, dict[str, Any]]:
        """The sums as JSON, by outcome."""
        return {outcome: asdict(sums) for outcome, sums in sorted(self.outcomes.items())}
