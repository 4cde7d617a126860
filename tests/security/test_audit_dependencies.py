"""A known vulnerability fails the build unless somebody answers for it; a build without a network does not fail."""

from __future__ import annotations

import datetime
import http.server
import json
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from tests.pipeline.loopback import running
from tests.security.audit_dependencies import ACCEPTED, LOCKS, ROOT, ask, judge, read_accepted, together
from tests.security.package_index import FINDINGS, Unreachable, audit_index, locked_releases

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


def test_every_locked_release_has_hashes(tmp_path: Path) -> None:
    for lock in LOCKS:
        lines = [line for line in lock.read_text("utf-8").splitlines() if line[:1].isalnum()]
        assert len(list(locked_releases(lock))) == len(lines) > 20
    (tmp_path / "lock.txt").write_text("requests==2.31.0\n")
    with pytest.raises(ValueError, match=r"requests 2\.31\.0 is locked without a hash"):
        list(locked_releases(tmp_path / "lock.txt"))


class Index(http.server.BaseHTTPRequestHandler):
    """A package index on this machine that knows three releases, and answers 503 for one project."""

    pages: ClassVar = {
        "sound": [("sound-1.0.tar.gz", "a" * 64, False), ("sound-1.0-py3-none-any.whl", "b" * 64, False)],
        "back": [("back-1.0.tar.gz", "c" * 64, "CVE-2026-1: reads beyond its buffer")],
        "other": [("other-1.0.tar.gz", "d" * 64, False)],
    }

    def do_GET(self) -> None:
        name = self.path.strip("/").rpartition("/")[2]
        files = [
            {"filename": file, "hashes": {"sha256": digest}, "yanked": yanked}
            for file, digest, yanked in self.pages.get(name, [])
        ]
        body = json.dumps({"files": files}).encode()
        self.send_response(200 if files else 503 if name == "busy" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Not told."""


@pytest.mark.parametrize(
    ("locked", "finding", "told"),
    [
        ("Sound==1.0 \\\n    --hash=sha256:" + "a" * 64 + " \\\n    --hash=sha256:" + "b" * 64, None, ""),
        ("back==1.0 --hash=sha256:" + "c" * 64, FINDINGS[0], "CVE-2026-1: reads beyond its buffer"),
        ("absent==1.0 --hash=sha256:" + "e" * 64, FINDINGS[1], ""),
        ("other==1.0 --hash=sha256:" + "e" * 64, FINDINGS[1], ""),
        ("other==1.0 --hash=sha256:" + "d" * 64 + " --hash=sha256:" + "e" * 64, FINDINGS[2], "1 of 2"),
    ],
)
def test_the_index_is_asked_for_every_release(tmp_path: Path, locked: str, finding: str | None, told: str) -> None:
    (tmp_path / "lock.txt").write_text(f"{locked}\n    # via something==3\n")
    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)) as url:
        report = audit_index([tmp_path / "lock.txt"], f"{url}/simple")
    assert [found["id"] for found in report["dependencies"][0]["vulns"]] == ([finding] if finding else [])
    verdict = judge(report, [], TODAY, "package index")
    assert verdict.failed is bool(finding) and told in "\n".join(verdict.lines)
    entry = {"id": finding, "package": report["dependencies"][0]["name"], "reason": "only built with", "until": TODAY}
    assert not judge(report, [entry], TODAY).failed


def test_an_index_that_cannot_be_asked_audits_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("busy==1.0 --hash=sha256:" + "a" * 64 + "\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    with running(server) as url, pytest.raises(Unreachable, match="answers 503 for busy"):
        audit_index([tmp_path / "lock.txt"], f"{url}/simple")
    with pytest.raises(Unreachable):
        audit_index([tmp_path / "lock.txt"], f"{url}/simple")


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
