"""A stand-in for the Hugging Face Hub on loopback: real HTTP and real content by commit, that fails as asked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.pipeline.loopback import running

TOKEN = "hf_TestTokenThatMustAppearNowhere"
DATE = "2026-01-01T00:00:00.000Z"
PAGE = 50


@dataclass
class Repo:
    """Commits by hash, each a whole tree: path → (kind, content's key)."""

    private: bool
    commits: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    history: dict[str, list[str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)

    def commit(self, branch: str, tree: dict[str, tuple[str, str]], title: str) -> str:
        parents = self.history.setdefault(branch, [])
        name = hashlib.sha1(repr((sorted(tree.items()), title, parents)).encode()).hexdigest()
        self.commits[name], self.titles[name] = tree, title
        parents.append(name)
        return name

    def find(self, revision: str) -> str | None:
        if revision in self.history:
            return self.history[revision][-1]
        name = self.tags.get(revision, revision)
        return name if name in self.commits else None


# Called with the request's number, method and path; what is to happen instead of, or after, the answer.
Mischief = Callable[[int, str, str], str | None]


def seeded(seed: int, share: float = 0.25) -> Mischief:
    """Limits, failures, cuts, and commits whose answers are lost, by chance; the same for the same seed."""
    chance = random.Random(seed)

    def mischief(number: int, method: str, path: str) -> str | None:
        if chance.random() >= share:
            return None
        return chance.choice(("limit", "fail", "cut", "lose", "slow"))

    return mischief


@dataclass
class Hub:
    """What the server holds and what it was asked."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    received: list[str] = field(default_factory=list)
    commits: int = 0
    mischief: Mischief = lambda number, method, path: None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def of(self, method: str, pattern: str) -> int:
        """How many requests of a method had a path like this."""
        return sum(asked == method and re.search(pattern, path) is not None for asked, path in self.requests)

    def content(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """All files of a revision."""
        found = self.repos[repo]
        name = found.find(revision)
        assert name
        return {
            path: (found.lfs if kind == "lfs" else found.blobs)[key]
            for path, (kind, key) in found.commits[name].items()
        }


Answer = tuple[int, Any, dict[str, str]]


def _refused(status: int, message: str, code: str = "") -> Answer:
    return status, {"error": message}, {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read what was asked from `hub`."""

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
            happening = self.hub.mischief(len(self.hub.requests), self.command, path)
        if happening:
            self.hub.happened[happening] += 1
        if happening == "limit":
            return self._send(429, {"error": "slow down"}, {"Retry-After": "0"})
        if happening == "fail":
            return self._send(503, {"error": "later"}, {})
        if happening == "cut":
            self.close_connection = True
            return None
        if happening == "slow":
            time.sleep(0.05)
        with self.hub.lock:
            answer = self._route(path, body)
        if happening == "lose":
            self.close_connection = True
            return None
        return self._send(*answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _route(self, path: str, body: bytes) -> Answer:
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found := re.fullmatch(r"/storage/(.+)/([0-9a-f]{64})", path):
            return self._put(self.hub.repos[found[1]], found[2], body)
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        if path == "/api/whoami-v2":
            return (200, {"name": "owner", "type": "user"}, {}) if allowed else _refused(401, "no token")
        if path == "/api/repos/create":
            return self._create(json.loads(body)) if allowed else _refused(401, "no token")
        for pattern in (
            r"/api/datasets/([^/]+/[^/]+)(?:/(.*))?",
            r"/datasets/([^/]+/[^/]+)\.git/(.*)",
            r"/datasets/([^/]+/[^/]+)/(.*)",
        ):
            if found := re.fullmatch(pattern, path):
                repo = self.hub.repos.get(found[1])
                if repo is None or (repo.private and not allowed):
                    return _refused(404 if allowed else 401, "Repository not found", "RepoNotFound")
                if self.command in ("POST", "PUT", "DELETE") and not allowed and "paths-info" not in path:
                    return _refused(403, "no right to write")
                action, _, rest = (found[2] or "").partition("/")
                return self._of_repo(found[1], repo, action, rest, body)
        return _refused(404, f"no such page: {path}")

    def _create(self, asked: dict[str, Any]) -> Answer:
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.repos:
            return 409, {"error": "exists", "url": url}, {}
        repo = self.hub.repos[name] = Repo(asked.get("visibility") == "private")
        key = _blob(repo, b"*.parquet filter=lfs diff=lfs merge=lfs -text\n")
        repo.commit("main", {".gitattributes": ("blob", key)}, "initial commit")
        return 200, {"url": url, "name": name}, {}

    def _put(self, repo: Repo, oid: str, body: bytes) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            return _refused(400, "another checksum")
        repo.lfs[oid] = body
        self.hub.received.append(oid)
        return 200, b"", {}

    def _of_repo(self, name: str, repo: Repo, action: str, rest: str, body: bytes) -> Answer:
        revision, _, inner = rest.partition("/")
        if action in ("", "revision"):
            head = repo.find(revision or "main")
            if head is None:
                return _refused(404, "Revision not found", "RevisionNotFound")
            files = [{"rfilename": path} for path in repo.commits[head]]
            return (
                200,
                {
                    "id": name,
                    "sha": head,
                    "private": repo.private,
                    "siblings": files,
                    "tags": [],
                    "cardData": {},
                    "lastModified": DATE,
                },
                {},
            )
        if action == "refs":
            branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": h[-1]} for n, h in repo.history.items()]
            tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": h} for n, h in repo.tags.items()]
            return 200, {"branches": branches, "tags": tags, "converts": [], "pullRequests": []}, {}
        if action == "settings":
            repo.private = json.loads(body)["visibility"] == "private"
            return 200, {}, {}
        if action == "lfs-files":
            return self._lfs_files(repo, rest, body)
        if action == "info":
            return self._batch(name, repo, json.loads(body))
        if action == "tag":
            if self.command == "DELETE":
                return (200, {}, {}) if repo.tags.pop(rest, None) else _refused(404, "no such tag")
            repo.tags[json.loads(body)["tag"]] = str(repo.find(rest))
            return 200, {}, {}
        if action == "branch":
            if self.command == "DELETE":
                return (200, {}, {}) if repo.history.pop(rest, None) else _refused(404, "no such branch")
            repo.history[rest] = list(repo.history["main"])
            return 200, {}, {}
        if action == "super-squash":
            tree = dict(repo.commits[repo.history[rest][-1]])
            repo.history[rest] = []
            repo.commit(rest, tree, json.loads(body)["message"])
            kept = {one for names in repo.history.values() for one in names} | set(repo.tags.values())
            repo.commits = {one: tree for one, tree in repo.commits.items() if one in kept}
            return 200, {}, {}
        if action == "preupload":
            return 200, {"files": [self._mode(repo, revision, file) for file in json.loads(body)["files"]]}, {}
        if action == "commit":
            return self._commit(name, repo, revision, body)
        head = repo.find(revision)
        if action in ("tree", "paths-info", "commits", "resolve") and head is None:
            return _refused(404, "Revision not found", "RevisionNotFound")
        if action == "commits":
            items = [
                {"id": one, "authors": [], "date": DATE, "title": repo.titles[one], "message": ""}
                for one in reversed(repo.history[revision])
            ]
            return 200, items, {}
        if action == "tree":
            return self._tree(repo, str(head), inner)
        if action == "paths-info":
            form = parse_qs(body.decode()) if not body.startswith(b"{") else json.loads(body)
            entries = _entries(repo, str(head))
            return 200, [entries[path] for path in form.get("paths", []) if path in entries], {}
        if action == "resolve":
            return self._resolve(repo, str(head), inner)
        return _refused(404, f"no such page: {action}")

    def _lfs_files(self, repo: Repo, rest: str, body: bytes) -> Answer:
        if rest == "batch":
            for oid in json.loads(body)["deletions"]["sha"]:
                repo.lfs.pop(oid, None)
            return 200, {}, {}
        items = [
            {"fileOid": o, "filename": "x", "oid": o, "pushedAt": DATE, "ref": "main", "size": len(d)}
            for o, d in repo.lfs.items()
        ]
        return 200, items, {}

    def _batch(self, name: str, repo: Repo, asked: dict[str, Any]) -> Answer:
        objects = []
        for item in asked["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in repo.lfs:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/storage/{name}/{item['oid']}"}}
            objects.append(entry)
        return 200, {"transfer": "basic", "objects": objects}, {}

    def _mode(self, repo: Repo, revision: str, file: dict[str, Any]) -> dict[str, Any]:
        tree = repo.commits[str(repo.find(revision))]
        mode = "lfs" if file["path"].endswith(".parquet") else "regular"
        oid = tree[file["path"]][1] if file["path"] in tree else None
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _commit(self, name: str, repo: Repo, branch: str, body: bytes) -> Answer:
        lines = [json.loads(line) for line in body.splitlines()]
        head, title = repo.history[branch][-1], lines[0]["value"]["summary"]
        if lines[0]["value"].get("parentCommit", head) != head:
            return _refused(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(repo.commits[head])
        for line in lines[1:]:
            kind, value = line["key"], line["value"]
            if kind == "deletedFile":
                if tree.pop(value["path"], None) is None:
                    return _refused(404, "A file with this name doesn't exist", "EntryNotFound")
            elif kind == "lfsFile":
                if len(repo.lfs.get(value["oid"], b"")) != value["size"]:
                    return _refused(400, "LFS pointer pointed to a file that does not exist")
                tree[value["path"]] = ("lfs", value["oid"])
            else:
                tree[value["path"]] = ("blob", _blob(repo, base64.b64decode(value["content"])))
        self.hub.commits += 1
        made = repo.commit(branch, tree, title)
        return 200, {"commitUrl": f"{self.hub.url}/datasets/{name}/commit/{made}", "commitOid": made}, {}

    def _tree(self, repo: Repo, head: str, folder: str) -> Answer:
        asked = parse_qs(urlsplit(self.path).query)
        prefix = f"{folder}/" if folder else ""
        found = {path: entry for path, entry in _entries(repo, head).items() if path.startswith(prefix)}
        if folder and not found:
            return _refused(404, "no such folder", "EntryNotFound")
        if asked.get("recursive", ["false"])[0].lower() != "true":
            found = {path: entry for path, entry in found.items() if "/" not in path.removeprefix(prefix)}
        start = int(asked.get("cursor", ["0"])[0])
        items = list(found.values())[start : start + PAGE]
        if start + PAGE >= len(found):
            return 200, items, {}
        recursive = asked.get("recursive", ["false"])[0]
        link = f"{self.hub.url}{urlsplit(self.path).path}?recursive={recursive}&cursor={start + PAGE}"
        return 200, items, {"Link": f'<{link}>; rel="next"'}

    def _resolve(self, repo: Repo, head: str, path: str) -> Answer:
        if path not in repo.commits[head]:
            return _refused(404, "Entry not found", "EntryNotFound")
        kind, key = repo.commits[head][path]
        data = (repo.lfs if kind == "lfs" else repo.blobs)[key]
        headers = {"ETag": f'"{key}"', "X-Repo-Commit": head, "Accept-Ranges": "bytes", "X-Linked-Size": str(len(data))}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked or self.command == "HEAD":
            return 200, data, headers
        start, stop = int(asked[1]), min(len(data), int(asked[2] or len(data)) + 1)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return 206, data[start:stop], headers


def _blob(repo: Repo, data: bytes) -> str:
    key = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    repo.blobs[key] = data
    return key


def _entries(repo: Repo, head: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for path, (kind, key) in sorted(repo.commits[head].items()):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            entries[folder] = {
                "type": "directory",
                "path": folder,
                "oid": hashlib.sha1(folder.encode()).hexdigest(),
                "size": 0,
            }
        data = (repo.lfs if kind == "lfs" else repo.blobs)[key]
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": key[:40]}
        if kind == "lfs":
            entry["lfs"] = {"oid": key, "size": len(data), "pointerSize": 130}
        entries[path] = entry
    return entries


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """A Hub on loopback for the length of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    with running(server) as hub.url:
        yield hub
