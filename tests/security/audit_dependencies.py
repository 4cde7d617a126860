"""Hold the locked packages against PyPI's list of known vulnerabilities, by pip-audit, and against its index.

Exit code 1 for what is found and is not in accepted-vulnerabilities.yaml, or is there but past its date, and where
pip-audit itself breaks. Where list or index cannot be reached, that one judges nothing: it says "not audited" and ends
with 0, so that a build without a network is no failed build.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.security.package_index import FINDINGS, INDEX, Unreachable, audit_index

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCEPTED = HERE / "accepted-vulnerabilities.yaml"
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-bench.lock", HERE / "pip-audit.txt")
KEYS = {"id", "package", "reason", "until"}
# PyPI is asked once for each package; ten minutes are many times what that takes.
SECONDS = 600
# Names of requests' and urllib3's errors in a traceback, and what pip-audit says of a service that is down.
OF_THE_NETWORK = (
    "ConnectionError",
    "ProxyError",
    "Timeout",
    "SSLError",
    "Max retries exceeded",
    "ServiceError",
    "Server Error",
)


@dataclass(frozen=True)
class Verdict:
    """What was found: lines to print, and whether the build fails."""

    lines: list[str]
    failed: bool


def read_accepted(text: str) -> list[dict[str, Any]]:
    """The accepted vulnerabilities. Raises ValueError for an entry that lacks its reason or its date."""
    entries = yaml.safe_load(text) or []
    for entry in entries:
        if set(entry) != KEYS or not str(entry["reason"]).strip() or not isinstance(entry["until"], datetime.date):
            raise ValueError(
                f"{ACCEPTED.name}: {entry}: each entry has {', '.join(sorted(KEYS))}, `until` as YYYY-MM-DD"
            )
    return list(entries)


def judge(
    report: dict[str, Any], accepted: Sequence[dict[str, Any]], today: datetime.date, of: str = "dependencies"
) -> Verdict:
    """Judge a report of `pip-audit --format json`, or of its form; `of` begins the line that sums up."""
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    audited = len(packages) - len(skipped)
    if not audited:
        return Verdict([f"{of}: not audited: the list knows none of {len(skipped)} packages (no PyPI here?)"], False)
    lines, failed, used = [f"{of}: {audited} packages audited"], False, set()
    if skipped:
        lines.append(f"not audited, since the list does not know them: {', '.join(skipped)}")
    for package in packages:
        for found in package.get("vulns", ()):
            names = {found["id"], *found.get("aliases", ())}
            known = next((one for one in accepted if one["package"] == package["name"] and one["id"] in names), None)
            told = f" ({found['told']})" if found.get("told") else ""
            where = f"{package['name']} {package['version']}: {found['id']}{told}"
            if known is None:
                mended = ", ".join(found.get("fix_versions", ())) or "no version yet"
                lines.append(f"{where}, mended in {mended}: raise it with `make lock`, or name it in {ACCEPTED.name}")
                failed = True
                continue
            used.add(known["id"])
            past = today > known["until"]
            lines.append(
                f"{where}, accepted until {known['until']}{', which is past' if past else ''}: {known['reason']}"
            )
            failed = failed or past
    lines += [f"{one['id']} of {one['package']} is accepted and not there" for one in accepted if one["id"] not in used]
    return Verdict(lines, failed)


def ask(program: Path, requirements: Path, more: Sequence[str] = ()) -> dict[str, Any]:
    """pip-audit's report on a lock. Raises Unreachable without a network, RuntimeError where pip-audit breaks."""
    if not program.is_file():
        raise Unreachable("pip-audit could not be installed")
    command = [str(program), "--requirement", str(requirements), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        report: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"pip-audit took more than {SECONDS} s") from None
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        if any(word in done.stderr for word in OF_THE_NETWORK):
            raise Unreachable(last) from None
        raise RuntimeError(f"pip-audit broke off at {requirements.name}: {last}") from None
    return report


def together(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several reports as one, each package once in each version."""
    packages = {(each["name"], each.get("version")): each for report in reports for each in report["dependencies"]}
    return {"dependencies": list(packages.values())}


def main() -> int:
    """Audit all locks; the exit code says whether a known vulnerability stands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pip-audit", type=Path, default=ROOT / "build" / "pip-audit" / "bin" / "pip-audit")
    parser.add_argument("--index", default=INDEX)
    options = parser.parse_args()
    accepted = read_accepted(ACCEPTED.read_text(encoding="utf-8"))
    audits: dict[str, Callable[[], dict[str, Any]]] = {
        "dependencies": lambda: together([ask(options.pip_audit, lock) for lock in LOCKS]),
        "package index": lambda: audit_index(LOCKS, options.index),
    }
    failed = False
    for name, audit in audits.items():
        try:
            report = audit()
        except Unreachable as error:
            print(f"{name}: not audited: {error}")
            continue
        of_index = name == "package index"
        concerned = [entry for entry in accepted if (entry["id"] in FINDINGS) == of_index]
        verdict = judge(report, concerned, datetime.date.today(), name)
        print("\n".join(verdict.lines))
        failed = failed or verdict.failed
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
