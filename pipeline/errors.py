"""Errors that end a command: each prints as one line that names the cause and the fix."""

import difflib
from collections.abc import Iterable


def like_it(name: str, known: Iterable[str]) -> str:
    """What to add to the error about a name that there is not: the names like it, the likest first; "" for none."""
    alike = difflib.get_close_matches(name, list(known), n=5, cutoff=0.5)
    return f"; like it: {', '.join(alike)}" if alike else ""


class KamisukiError(Exception):
    """A run could not do all of its work. The command exits with 1."""

    exit_code = 1


class GateClosed(KamisukiError):
    """A corpus is not what its recipe promises of it. The command exits with 3."""

    exit_code = 3


class UsageError(KamisukiError):
    """The recipe, the inputs or the options cannot be used as given. The command exits with 2."""

    exit_code = 2
