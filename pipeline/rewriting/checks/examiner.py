"""What a program gives for examples: doctests, and calls of its functions. Runs in the sandbox, nowhere else."""

import copy
import doctest
import io
import json
import os
import signal
import sys
import types
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

# Arguments that functions are called with, by their number: what numbers, texts and lists tell apart.
_ONE: tuple[Any, ...] = (0, 1, 2, 3, 7, -2, 12, 2.5, "", "abc", "Level 10", [], [3, 1, 2], ["b", "a"], {"a": 1})
_TWO = (
    (1, 2),
    (7, 3),
    (12, 18),
    (0, 5),
    (2.5, 2),
    ("ab", "b"),
    ("a", 3),
    ([3, 1, 2], 1),
    ([1, 2], [2, 3]),
    ("abc", "cab"),
)
_THREE = ((1, 2, 3), (7, 3, 2), (2, 10, 7), ("a", "b", "c"), ("abc", 1, 2), ([3, 1, 2], 0, 2), ([1, 2, 3], 1, 9))
_CALLS = {0: ((),), 1: tuple((value,) for value in _ONE), 2: _TWO, 3: _THREE}
_MOST_FUNCTIONS = 40
_CALL_SECONDS = 0.5
_MOST_CHARACTERS = 1_000


class _TooLong(BaseException):
    pass


def main() -> None:
    """Read {"text", "sessions", "functions", "aliases", "own"}; write {"loaded", "outcomes", "own"} as the last line.

    `sessions` are lists of statements, run one after the other in what the program defines; `functions` are [name,
    least, most] of positional arguments; `own` are the sessions that the program's documentation has. An outcome is
    [example, what it gave, whether it returned]; of its own doctests, [example, whether it gave what is written].
    """
    os.chdir("/tmp")
    given = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdin = os.fdopen(0)
    signal.signal(signal.SIGALRM, _alarm)
    module = types.ModuleType("examined")
    sys.modules["examined"] = module
    space = module.__dict__
    code = compile(given["text"], "<text>", "exec", dont_inherit=True)
    said, error = _captured(lambda: exec(code, space), 4 * _CALL_SECONDS)
    result = {"loaded": error, "outcomes": [], "own": []}
    if error is None:
        for old, new in given["aliases"].items():
            if "." not in old and new in space:
                space.setdefault(old, space[new])
        result["outcomes"] = [["the program's output", said, True]] if said else []
        for session in given["sessions"]:
            result["outcomes"] += _session(session, dict(space))
        for name, least, most in given["functions"][:_MOST_FUNCTIONS]:
            result["outcomes"] += _calls(name, least, most, space)
        result["own"] = _own(given["own"], space)
    answers.write("\n" + json.dumps(result) + "\n")
    answers.flush()
    os._exit(0)


def _alarm(number: int, frame: object) -> None:
    raise _TooLong


def _captured(call: Callable[[], Any], seconds: float = _CALL_SECONDS) -> tuple:
    """What a call wrote, and None or the name of what it raised."""
    out = io.StringIO()
    error = None
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            call()
    except BaseException as raised:  # noqa: BLE001 - a stranger's program may raise anything, exits too
        error = type(raised).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return out.getvalue()[:_MOST_CHARACTERS], error


def _statement(source: str, space: dict) -> tuple:
    code = compile(source, "<example>", "single", dont_inherit=True)
    return _captured(lambda: exec(code, space))


def _session(session: list, space: dict) -> list:
    outcomes = []
    for source, _, _ in session:
        try:
            said, error = _statement(source, space)
        except (SyntaxError, ValueError):
            break
        outcomes.append([source.strip()[:200], said if error is None else error, error is None])
    return outcomes


def _calls(name: str, least: int, most: int, space: dict) -> list:
    outcomes = []
    function: Any = space.get(name)
    for count, calls in _CALLS.items():
        if count < least or (most >= 0 and count > most):
            continue
        for arguments in calls:
            given = copy.deepcopy(arguments)
            results: list[str] = []

            def call(given: tuple[Any, ...] = given, results: list[str] = results) -> None:
                results.append(repr(function(*given)))

            said, error = _captured(call)
            shown = f"{name}({', '.join(map(repr, arguments))})"
            left = "" if repr(given) == repr(arguments) else f", left {given!r}"
            got = error if error is not None else f"{said}{results[0][:_MOST_CHARACTERS]}{left}"
            outcomes.append([shown, got, error is None])
        break
    return outcomes


def _own(sessions: list, space: dict) -> list:
    """The program's own doctests with what they gave; those that only say that something is raised count too."""
    checker, outcomes = doctest.OutputChecker(), []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    for session in sessions:
        names = dict(space)
        for source, want, raises in session:
            try:
                said, error = _statement(source, names)
            except (SyntaxError, ValueError):
                outcomes.append([source.strip()[:200], False])
                break
            if raises is not None:
                right = error is not None and error == raises.partition(":")[0].strip().rpartition(".")[2]
            else:
                right = error is None and checker.check_output(want, said, flags)
            outcomes.append([source.strip()[:200], right])
    return outcomes


if __name__ == "__main__":
    main()
