"""A known vulnerability fails the build unless somebody answers for it; a build without a network does not fail."""

from __future__ import annotations

import datetime
import http.server
import json
from pathlib import Path

import pytest
import yaml

from tests.pipeline.loopback import running
from tests.security.audit_dependencies import ACCEPTED, ROOT, Unreachable, ask, judge, read_accepted, together

TODAY = datetime.date(2026, 11, 26)
PIP_AUDIT = ROOT / "build" / "pip-audit" / "bin" / "pip-audit"
SOUND = {"name": "numpy", "version": "2.4.0", "vulns": []}
SKIPPED = {"name": "mine", "skip_reason": "Dependency not found on PyPI and could not be audited: mine (1.0)"}
FOUND = {
    "name": "requests", "version": "2.31.0",
    "vulns": [{"id": "PYSEC-2024-1", "aliases": ["CVE-2024-35195"], "fix_versions": ["2.32.0"], "description": "x"}],
}  # fmt: skip


def accepted(**changed: object) -> list[dict[str, object]]:
    entry = {"id": "CVE-2024-35195", "package": "requests", "reason": "no sessions are shared", "until": TODAY}
    return [entry | changed]


def test_a_known_vulnerability_fails_and_says_what_to_do() -> None:
    verdict = judge({"dependencies": [SOUND, FOUND]}, [], TODAY)
    assert verdict.failed and "requests 2.31.0: PYSEC-2024-1, mended in 2.32.0" in "\n".join(verdict.lines)
    assert not judge({"dependencies": [SOUND]}, [], TODAY).failed


@pytest.mark.parametrize(
    ("entry", "fails"),
    [
        ({}, False),
        ({"id": "PYSEC-2024-1"}, False),
        ({"until": TODAY - datetime.timedelta(days=1)}, True),
        ({"package": "numpy"}, True),
        ({"id": "CVE-2024-1"}, True),
    ],
)
def test_one_that_is_accepted_passes_until_its_date(entry: dict[str, object], fails: bool) -> None:
    assert judge({"dependencies": [SOUND, FOUND]}, accepted(**entry), TODAY).failed is fails


def test_what_was_not_looked_up_is_never_called_sound() -> None:
    for packages in ([], [SKIPPED, SKIPPED]):
        verdict = judge({"dependencies": packages}, [], TODAY)
        assert not verdict.failed and "not audited" in verdict.lines[0]
    verdict = judge({"dependencies": [SOUND, SKIPPED]}, [], TODAY)
    assert verdict.lines == ["dependencies: 1 packages audited", "not audited, since the list does not know them: mine"]


@pytest.mark.parametrize("gap", ["reason", "until", "id", "package"])
def test_who_accepts_says_why_and_until_when(gap: str) -> None:
    entry = {"id": "X", "package": "requests", "reason": "because", "until": datetime.date(2027, 1, 1)}
    assert read_accepted(yaml.safe_dump([entry])) == [entry]
    del entry[gap]
    with pytest.raises(ValueError, match="each entry has"):
        read_accepted(yaml.safe_dump([entry]))
    read_accepted(ACCEPTED.read_text(encoding="utf-8"))


def test_without_pip_audit_nothing_is_audited(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="could not be installed"):
        ask(tmp_path / "absent", tmp_path)


@pytest.mark.skipif(not PIP_AUDIT.is_file(), reason="pip-audit is not here: `make audit-dependencies` installs it")
def test_pip_audit_itself_over_a_server_and_without_one(tmp_path: Path) -> None:
    """pip-audit asks a server of the same protocol as osv.dev, on this machine."""
    (tmp_path / "lock.txt").write_text("requests==2.31.0 --hash=sha256:" + "0" * 64 + "\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            affected = [{"package": {"name": "requests", "ecosystem": "PyPI"}, "ranges": []}]
            body = json.dumps({"vulns": [{"id": "PYSEC-2024-1", "summary": "x", "affected": affected}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Not told."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server) as url:
        service = ("--vulnerability-service", "osv", "--osv-url", f"{url}/v1/query")
        report = ask(PIP_AUDIT, tmp_path / "lock.txt", service)
    assert judge(together([report, report]), [], TODAY).failed
    with pytest.raises(Unreachable):
        ask(PIP_AUDIT, tmp_path / "lock.txt", service)
    (tmp_path / "lock.txt").write_text("requests\n")
    with pytest.raises(RuntimeError, match="broke off"):
        ask(PIP_AUDIT, tmp_path / "lock.txt", service)
