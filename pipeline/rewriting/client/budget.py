"""The budget: what tokens cost, what may be spent, what is spent, and what a whole run is going to cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pipeline.rewriting.client.messages import Answer
from pipeline.section import Section

# Bytes of UTF-8 a token, before the first answer says better: o200k makes 1.78 letters of three bytes a token of
# Japanese, and some four letters of one byte a token of English or code. The lower one, so that tokens come out high.
BYTES_A_TOKEN = 3.0
# What an answer is taken to be as long as where a request sets no limit and none has come yet.
ANSWER_TOKENS = 1_024


class Prices(Section):
    """What a million tokens cost, in any currency."""

    prompt: float = Field(0.0, ge=0)
    answer: float = Field(0.0, ge=0)

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """The price of so many tokens."""
        return (tokens_in * self.prompt + tokens_out * self.answer) / 1_000_000


class Budget:
    """What may be spent, in tokens or money or both; None is no limit.

    A request goes out when what is spent, what the requests under way are expected to cost and what this one is
    expected to cost stay within the budget. Expected is: prompts by their bytes, answers by the mean of those that
    came, at first by their limit. So the last answers can go over by what they are longer than that.
    """

    def __init__(
        self,
        tokens: int | None = None,
        money: float | None = None,
        prices: Prices | Mapping[str, float] | None = None,
        spent_in: int = 0,
        spent_out: int = 0,
    ) -> None:
        self.tokens = tokens
        self.money = money
        self.prices = prices if isinstance(prices, Prices) else Prices(**(prices or {}))
        self.spent_in = spent_in
        self.spent_out = spent_out
        self.is_spent = False
        self._under_way = (0.0, 0.0)
        self._bytes = self._answered = self._answer_tokens = self._prompt_tokens = 0
        if money is not None and not (self.prices.prompt or self.prices.answer):
            raise ValueError("a budget in money needs prices: say what a million tokens cost")

    @property
    def spent_tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.spent_in + self.spent_out

    @property
    def spent_money(self) -> float:
        """What these tokens cost."""
        return self.prices.of(self.spent_in, self.spent_out)

    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.tokens is not None or self.money is not None

    def as_record(self) -> dict[str, Any]:
        """The arguments that make this budget again, as JSON."""
        record = {name: getattr(self, name) for name in ("tokens", "money", "spent_in", "spent_out")}
        return record | {"prices": self.prices.model_dump()}

    def after(self, tokens_in: int, tokens_out: int) -> Budget:
        """The same budget when so much more is spent."""
        record = self.as_record()
        record["spent_in"] += tokens_in
        record["spent_out"] += tokens_out
        return Budget(**record)

    def expected(self, prompt_bytes: int, limit: int | None) -> tuple[float, float]:
        """The tokens that a request is expected to cost: of its prompt, of its answer."""
        ratio = self._prompt_tokens / self._bytes if self._bytes else 1 / BYTES_A_TOKEN
        answer = self._answer_tokens / self._answered if self._answered else float(limit or ANSWER_TOKENS)
        return prompt_bytes * ratio, min(answer, limit) if limit else answer

    def reserve(self, cost: tuple[float, float]) -> bool:
        """Take an expected cost out of the budget; False where there is not so much left."""
        tokens_in = self.spent_in + self._under_way[0] + cost[0]
        tokens_out = self.spent_out + self._under_way[1] + cost[1]
        over = self.tokens is not None and tokens_in + tokens_out > self.tokens
        if over or (self.money is not None and self.prices.of(tokens_in, tokens_out) > self.money):
            return False
        self._under_way = (self._under_way[0] + cost[0], self._under_way[1] + cost[1])
        return True

    def release(self, cost: tuple[float, float]) -> None:
        """Give back what was reserved."""
        self._under_way = (self._under_way[0] - cost[0], self._under_way[1] - cost[1])

    def charge(self, prompt_bytes: int, tokens_in: int, tokens_out: int) -> None:
        """Spend the tokens of one answer, and learn from it what the next will cost."""
        self.spent_in += tokens_in
        self.spent_out += tokens_out
        self._bytes += prompt_bytes
        self._prompt_tokens += tokens_in
        self._answer_tokens += tokens_out
        self._answered += 1


@dataclass(frozen=True)
class Estimate:
    """What a run is going to cost by a sample of it, with the half width of a 95 % interval of each figure."""

    requests: int
    sample: int
    tokens_in: float
    tokens_in_half_width: float
    tokens_out: float
    tokens_out_half_width: float
    money: float
    money_half_width: float


def estimate(sample: Sequence[Answer], requests: int, prices: Prices) -> Estimate:
    """What `requests` requests cost, by the answers to a random sample of them. Raises ValueError for an empty one.

    Normal approximation of the mean's error, without a correction for small samples; a sample of one has no width.
    """
    if not sample:
        raise ValueError("no sample to estimate from")
    figures = [
        _scaled([float(value) for value in column], requests)
        for column in (
            [answer.tokens_in for answer in sample],
            [answer.tokens_out for answer in sample],
            [prices.of(answer.tokens_in, answer.tokens_out) for answer in sample],
        )
    ]
    return Estimate(requests, len(sample), *figures[0], *figures[1], *figures[2])


def _scaled(values: list[float], count: int) -> tuple[float, float]:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean * count, 0.0
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean * count, 1.96 * math.sqrt(variance / len(values)) * count
