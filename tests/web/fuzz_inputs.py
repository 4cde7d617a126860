"""Coverage-guided fuzzing of archives, charsets, licenses and consent, by atheris (libFuzzer), with bounds checked.

    python tests/web/fuzz_inputs.py --seconds 600 [--target warc]

The seconds are shared by the targets of fuzz_targets.py, each in a process of its own. Coverage is that of the Python
code: compiled functions are not instrumented, but check the bounds of their arrays. An input that breaks a target, or
takes over MOST_SECONDS, is written to build/fuzz/TARGET-crash-… and ends the run with its error; new inputs that cover
more are kept in build/fuzz/TARGET, for the next run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = ("warc", "charset", "license", "consent")
# A function that is compiled for the first time, with bounds checked, may take most of this on a busy machine.
MOST_SECONDS = 60
LONGEST = 20_000


def compiled_modules() -> list[str]:
    """Modules with compiled functions, whose bytecode must stay as it is for numba."""
    files = [path for path in (ROOT / "pipeline").rglob("*.py") if "njit" in path.read_text("utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]


def fuzz(target: str, seconds: int, seed: int) -> None:
    """Never returns: libFuzzer ends the process, with 0 only if nothing was found."""
    import atheris

    with atheris.instrument_imports(include=["pipeline"], exclude=[*compiled_modules(), "pipeline.compiled"]):
        import fuzz_targets
    check = fuzz_targets.TARGETS[target]
    for data in fuzz_targets.inputs(target):
        # Compiles what is compiled before the clock runs.
        check(data)
    found = ROOT / "build" / "fuzz" / target
    found.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "seed": seed,
        "timeout": MOST_SECONDS,
        "max_len": LONGEST,
        "rss_limit_mb": 4_000,
        "dict": Path(__file__).with_name("fuzz_words.txt"),
        "artifact_prefix": f"{found}-",
        "print_final_stats": 1,
    }
    flags = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(found), str(fuzz_targets.INPUTS / target)], check)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=NAMES)
    options = parser.parse_args()
    if options.target:
        fuzz(options.target, options.seconds, options.seed)
    # Numba keeps checked and unchecked code under the same name: a cache of its own, new each time.
    with tempfile.TemporaryDirectory(prefix="kamisuki-checked-code-") as cache:
        environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        for target in NAMES:
            seconds, seed = options.seconds // len(NAMES), options.seed
            command = [sys.executable, __file__, "--target", target, f"--seconds={seconds}", f"--seed={seed}"]
            done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
            lines = done.stderr.splitlines()
            if done.returncode:
                print("\n".join(lines[-40:]))
                print(f"{target}: broken, see build/fuzz/{target}-*")
                return 1
            figures = dict(line.split(":", 1) for line in lines if line.startswith("stat::") for line in [line[6:]])
            covered = [line.split("cov: ")[1].split()[0] for line in lines if "cov: " in line]
            print(
                f"{target}: {int(figures['number_of_executed_units']):,} inputs in {seconds} s, "
                f"{covered[-1] if covered else 0} edges covered, nothing found"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
