"""Lean: how the page's compiled functions are compiled that allocate nothing.

With numba's runtime (its option `_nrt`) every call counts references to its arrays up and down. A page takes thousands
of calls, one for each tag or letter, and the counting took half of the time of reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])
# The types that come with numba leave the option out.
_njit: Any = numba.njit


def lean_njit(function: _Function) -> _Function:
    """Compile a function that allocates no array, and calls none that does."""
    return cast(_Function, _njit(cache=True, nogil=True, _nrt=False)(function))


def inlined_njit(function: _Function) -> _Function:
    """The same for a function whose body is to stand wherever it is called."""
    return cast(_Function, _njit(cache=True, nogil=True, _nrt=False, forceinline=True)(function))
