"""pylint's score of one text, as if it ran on it alone. Runs in a child, which pays pylint's start once."""

import importlib
import json
import os
import signal
import sys
import sysconfig
import tempfile
from importlib.metadata import distribution
from io import StringIO

# Imported while its own dependencies can still be found: pylint does so late.
import isort  # noqa: F401

# SwallowCode v1's list, swallow-llm/swallow-code-math.
_DISABLED = "E0401,C0114,C0301,C0103,C0116,C0411,R0903,W0511,C0412"
# pylint with what it imports, also late.
_PACKAGES = ("pylint", "astroid", "mccabe", "platformdirs", "tomlkit", "dill")
# Modules that many programs import: astroid reads them once for all texts.
_COMMON = """
argparse json os random re sys time typing
""".split()

# pylint reads its text from a file, and each text has a process of its own.
WRITES_FILES = True

_folder = tempfile.mkdtemp(dir=os.environ["HOME"])
_path = os.path.join(_folder, "module.py")
_settings = os.path.join(_folder, "empty.toml")


def work(text: str) -> dict:
    """Return {"score": 0 to 10, "statements": count}: the score with two decimals, 0 without statements.

    What astroid learns from one text it would use in the next: each text has a process of its own, forked from one
    that has read the standard library's most imported modules. Raises RuntimeError where pylint itself breaks.
    """
    seconds, _ = signal.getitimer(signal.ITIMER_PROF)
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        # A timer does not outlive a fork.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        os.close(read)
        try:
            answer = _score(text)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - told to the parent, which raises it
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(process, 0)
    answer = json.loads(said) if said else {"error": f"ended by signal {os.WTERMSIG(status)}"}
    if "error" in answer:
        raise RuntimeError(f"pylint broke off: {answer['error']}")
    return answer


def _score(text: str) -> dict:
    from pylint.lint import Run
    from pylint.reporters.text import TextReporter

    with open(_path, "w", encoding="utf-8", newline="") as out:
        out.write(text)
    arguments = [f"--disable={_DISABLED}", "--persistent=n", "--jobs=1", f"--rcfile={_settings}", _path]
    said = StringIO()
    stats = Run(arguments, reporter=TextReporter(said), exit=False).linter.stats
    if stats.fatal:
        raise RuntimeError(said.getvalue()[-300:])
    if not stats.statement:
        return {"score": 0.0, "statements": 0}
    counted = 5 * stats.error + stats.warning + stats.refactor + stats.convention
    # pylint's own default of `evaluation`, pylint/lint/base_options.py.
    return {"score": round(max(0.0, 10.0 - counted / stats.statement * 10), 2), "statements": stats.statement}


def _only_own_packages() -> None:
    """Leave the standard library and pylint's packages to look modules up in: a score is the same on every machine."""
    packages = os.path.join(_folder, "packages")
    os.mkdir(packages)
    for package in _PACKAGES:
        files = distribution(package)
        for name in {file.parts[0] for file in files.files or ()}:
            if name != ".." and not name.endswith(".dist-info"):
                os.symlink(str(files.locate_file(name)), os.path.join(packages, name))
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    sys.path[:] = [path for path in sys.path if path in standard or path.endswith("lib-dynload")] + [packages]
    importlib.invalidate_caches()


with open(_settings, "w", encoding="utf-8"):
    pass
_only_own_packages()
_score("".join(f"import {name}\n" for name in _COMMON))
# Left in the cache it would be the module that a text is taken for.
sys.modules["astroid"].MANAGER.astroid_cache.pop("module", None)
