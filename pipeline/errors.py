"""Errors that end a command: each prints as one line that names the cause and the fix."""


class KamisukiError(Exception):
    """A run could not do all of its work. The command exits with 1."""

    exit_code = 1


class GateClosed(KamisukiError):
    """A corpus is not what its recipe promises of it. The command exits with 3."""

    exit_code = 3


class UsageError(KamisukiError):
    """The recipe, the inputs or the options cannot be used as given. The command exits with 2."""

    exit_code = 2
