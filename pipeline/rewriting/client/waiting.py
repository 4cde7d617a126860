"""Waiting: how long before the next attempt, the same in every run."""

from __future__ import annotations

import random


def backoff_seconds(key: str, attempt: int, seed: int, first: float, most: float) -> float:
    """The wait behind the `attempt`-th attempt (from 1): doubling up to `most`, of which a half is random.

    The random half keeps requests that failed together from coming back together; it depends on seed, key and attempt
    alone.
    """
    whole = min(most, first * 2.0 ** min(attempt - 1, 60))
    return whole * (0.5 + 0.5 * random.Random(f"{seed}:{key}:{attempt}").random())
