"""The budget, the estimate and the ledger of tokens."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rewriting.client import Answer, Budget, Prices, TokenLedger, estimate


def answer(tokens_in: int, tokens_out: int, reason: str | None = None, from_cache: bool = False) -> Answer:
    return Answer("k", "t", "stop", tokens_in, tokens_out, 0.5, "http://x/v1", reason, from_cache, attempts=2)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 300)), max_size=60), st.integers(0, 5_000))
def test_what_costs_no_more_than_expected_never_goes_over(requests: list[tuple[int, int]], tokens: int) -> None:
    budget = Budget(tokens=tokens)
    for prompt_bytes, limit in requests:
        cost = budget.expected(prompt_bytes, limit)
        if budget.reserve(cost):
            budget.release(cost)
            budget.charge(prompt_bytes, int(cost[0]), int(cost[1]))
        assert budget.spent_tokens <= tokens


def test_what_is_under_way_counts() -> None:
    budget = Budget(tokens=100)
    assert budget.reserve((30, 30))
    assert not budget.reserve((30, 30))
    budget.release((30, 30))
    assert budget.reserve((30, 30))


def test_a_budget_goes_on_where_the_one_before_ended() -> None:
    budget = Budget(tokens=100, money=1.0, prices={"prompt": 1.0, "answer": 2.0})
    later = budget.after(40, 20).after(5, 5)
    assert (later.spent_in, later.spent_out, later.spent_tokens) == (45, 25, 70)
    assert Budget(**later.as_record()).as_record() == later.as_record()
    assert later.spent_money == pytest.approx((45 + 50) / 1_000_000)
    assert later.is_limited() and not Budget().is_limited()
    assert later.reserve((20, 10)) and not later.reserve((1, 0))


def test_money_needs_prices() -> None:
    with pytest.raises(ValueError, match="prices"):
        Budget(money=1.0)


def test_expectations_are_learned() -> None:
    budget = Budget()
    assert budget.expected(300, 200) == (100, 200)
    for _ in range(10):
        budget.charge(300, 60, 20)
    assert budget.expected(600, 200) == (120, 20)
    assert budget.expected(600, 10) == (120, 10)


def test_the_interval_of_an_estimate_holds_what_a_run_costs() -> None:
    draw = random.Random(1)
    run = [answer(draw.randint(100, 900), draw.randint(0, 400)) for _ in range(2_000)]
    prices = Prices(prompt=1.0, answer=4.0)
    total = TokenLedger.of(run)
    held = 0
    for _ in range(200):
        found = estimate(draw.sample(run, 50), len(run), prices)
        held += abs(found.tokens_in - total.total().tokens_in) <= found.tokens_in_half_width
        assert found.money == pytest.approx(prices.of(found.tokens_in, found.tokens_out))
    # 95 % in the long run; 200 draws stay above 88 % with a probability of more than 0.9999.
    assert held >= 176
    whole = estimate(run, len(run), prices)
    assert whole.money == pytest.approx(total.money(prices))
    with pytest.raises(ValueError):
        estimate([], 10, prices)


def test_the_ledger_sums_by_outcome_and_charges_nothing_for_the_cache() -> None:
    answers = [answer(10, 5), answer(10, 5, from_cache=True), answer(7, 20, "answer_cut"), answer(0, 0, "bad_request")]
    ledger = TokenLedger.of(answers)
    assert set(ledger.outcomes) == {"answered", "answer_cut", "bad_request"}
    answered = ledger.outcomes["answered"]
    assert (answered.requests, answered.from_cache, answered.tokens_in, answered.attempts) == (2, 1, 10, 2)
    total = ledger.total()
    assert (total.requests, total.tokens_in, total.tokens_out, total.seconds) == (4, 17, 25, 1.5)
    assert ledger.money(Prices(prompt=1e6, answer=2e6)) == 17 + 50
    twice = TokenLedger.of(answers)
    twice.merge(ledger.as_record())
    assert twice.total().tokens_out == 50
