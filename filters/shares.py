"""Division for signals: what a share of nothing is, said in one place."""

from __future__ import annotations

import numpy as np


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, element by element, as float64; 0.0 where `whole` is 0."""
    quotient = np.zeros(len(whole), dtype=np.float64)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient
