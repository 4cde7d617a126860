"""The takedown list: requests by URL, host or id that keep documents out for good. `takedowns.jsonl`, one a line."""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote

import idna
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import UsageError
from pipeline.files import atomic_file, canonical_digest
from pipeline.storage.places import Place, as_place, read_bytes
from pipeline.web.urls import host, normalize_url

TAKEDOWNS = "takedowns.jsonl"
# The reason of what the list keeps out, in ledgers, rejects and releases.
TAKEN_DOWN = "taken_down"
# What a row is matched by, where its table has it.
MATCHED_BY = ("id", "source_ids", "url", "canonical_url", "host", "fetched_at")
# JPRS's attribute-type second-level names, under which all of Japan's registered names of that kind stand.
_SECOND_LEVEL_JP = frozenset(f"{kind}.jp" for kind in ("ac", "ad", "co", "ed", "go", "gr", "lg", "ne", "or"))
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
# Of a row that no request names, while the first one is looked for.
_NOBODY = np.iinfo(np.int64).max
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
# RFC 3986, 2.3: an escape of one of these means the character itself.
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Everything that RFC 3986 lets stand in a path or a query, and the percent sign of escapes that are there.
_AS_IT_IS = "%:/?#[]@!$&'()*+,;=~"


class Request(BaseModel):
    """One request. `since` limits it to captures from that day on; `subdomains` is of hosts alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: datetime.date
    reason: str
    kind: Literal["url", "host", "id"]
    value: str
    since: datetime.date | None = None
    subdomains: bool = True

    def means(self) -> tuple[str, str, str, bool]:
        """What it names, in the form that is compared: two requests that mean the same keep the same rows out."""
        compared: dict[str, Callable[[str], str]] = {"url": comparable_url, "host": comparable_host, "id": str}
        return (
            self.kind,
            compared[self.kind](self.value),
            str(self.since or ""),
            self.kind == "host" and self.subdomains,
        )


def comparable_host(name: str) -> str:
    """A host in lower case, in its ASCII form (Punycode, by UTS 46) and without a final dot. Never raises."""
    name = name.strip().lower().removesuffix(".")
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii").removesuffix(".")
    except (idna.IDNAError, UnicodeError):
        return name


def comparable_url(url: str) -> str:
    """The form in which URLs are compared: `normalize_url`, and beyond it the host as `comparable_host`, escapes of
    unreserved characters undone, and characters that no URL may hold escaped as UTF-8. Never raises."""
    text = normalize_url(url)
    name = host(text)
    scheme, slashes, rest = text.partition("://")
    if not slashes or name is None:
        return text
    authority, slash, path = rest.partition("/")
    before, found, after = authority.rpartition(name)
    authority = f"{before}{comparable_host(name)}{after.removeprefix('.')}" if found else authority
    path = quote(path, safe=_AS_IT_IS, encoding="utf-8", errors="surrogatepass")
    return f"{scheme}://{authority}{slash}{_ESCAPE.sub(_unreserved, path)}"


def _unreserved(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0]


def make_request(
    kind: Literal["url", "host", "id"],
    value: str,
    date: datetime.date,
    reason: str,
    since: datetime.date | None = None,
    subdomains: bool = True,
) -> Request:
    """A request that a person made. Raises UsageError for a value that cannot be what it is said to be."""
    value = value.strip()
    if not value:
        raise UsageError(f"an empty {kind} names nothing: leave it out")
    if kind == "url" and (host(value) is None or not value.lower().startswith(("http://", "https://"))):
        raise UsageError(f"{value!r} is no whole URL: write it with its scheme, as in https://a.example/page")
    if kind == "host":
        if "/" in value or "@" in value or host(f"https://{value}/") is None:
            raise UsageError(f"{value!r} is no host: write its name alone, as in a.example; for a page give its URL")
        name = comparable_host(value)
        if subdomains and ("." not in name or name in _SECOND_LEVEL_JP) and not name.startswith("["):
            raise UsageError(f"{value!r} and its subdomains are sites of many people: name the hosts that are meant")
    if kind == "id" and since is not None:
        raise UsageError("a date limits URLs and hosts; an id is one capture already: leave --since out")
    return Request(date=date, reason=reason, kind=kind, value=value, since=since, subdomains=subdomains)


def published_reason(request: Request) -> str:
    """A request's reason as everybody may read it: URLs, and the host or URL that was named, become …"""
    reason = _ADDRESS.sub("…", request.reason.encode("utf-8", "replace").decode())
    names = {request.value.strip()} if request.kind != "id" else set()
    names |= {host(request.value) or ""} if request.kind == "url" else set()
    names |= {comparable_host(name) for name in names}
    for name in sorted(filter(None, names), key=len, reverse=True):
        reason = re.sub(re.escape(name), "…", reason, flags=re.IGNORECASE)
    return reason


def parse_requests(content: bytes, name: str) -> list[Request]:
    """The requests of a list's file. Raises UsageError that names the line that is none."""
    requests = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            requests.append(Request.model_validate(data))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "it"
            raise UsageError(f"{name}, line {number}, is no takedown request: {where}: {first['msg']}") from None
        except ValueError:
            raise UsageError(f"{name}, line {number}, is no JSON: write one request a line") from None
        request = requests[-1]
        make_request(request.kind, request.value, request.date, request.reason, request.since, request.subdomains)
    return requests


def read_requests(folder: Place) -> list[Request]:
    """The requests of a folder's list; none where it has no list."""
    path = folder / TAKEDOWNS
    try:
        return parse_requests(read_bytes(path), str(path))
    except FileNotFoundError:
        return []


def read_list(path: Place) -> list[Request]:
    """The requests of a file that a person names. Raises UsageError where it is not there."""
    try:
        return parse_requests(read_bytes(path), str(path))
    except FileNotFoundError:
        raise UsageError(f"there is no takedown list at {path}: check the path") from None


def together(*lists: Sequence[Request]) -> list[Request]:
    """Lists one after the other, of requests that mean the same the first."""
    found: dict[tuple[str, str, str, bool], Request] = {}
    for request in (request for each in lists for request in each):
        found.setdefault(request.means(), request)
    return list(found.values())


def remember_requests(folder: Place, requests: Sequence[Request]) -> list[Request]:
    """Add requests to a folder's list; returns those that were not there."""
    known = together(read_requests(folder))
    merged = together(known, requests)
    if len(merged) > len(known):
        write_requests(folder, merged)
    return merged[len(known) :]


def write_requests(folder: Place, requests: Sequence[Request]) -> None:
    """Write a folder's list."""
    lines = [json.dumps(request.model_dump(mode="json"), ensure_ascii=False) for request in requests]
    with atomic_file(folder / TAKEDOWNS) as file:
        file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))


def requests_digest(requests: Sequence[Request]) -> str | None:
    """A digest of what requests mean, whatever their order, dates and reasons; None of none."""
    return canonical_digest(sorted(list(request.means()) for request in requests)) if requests else None


class Takedowns:
    """Finds the rows that requests name."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = list(requests)
        self._ids: dict[str, int] = {}
        self._urls: dict[str, list[int]] = {}
        self._hosts: dict[str, list[int]] = {}
        for index, request in enumerate(self.requests):
            kind, name, *_ = request.means()
            if kind == "id":
                self._ids.setdefault(name, index)
            else:
                (self._urls if kind == "url" else self._hosts).setdefault(name, []).append(index)
        self._url_hosts = {comparable_host(host(url) or "") for url in self._urls}

    def find(self, rows: pa.RecordBatch | pa.Table, also: dict[str, int] | None = None) -> np.ndarray:
        """By row the number of the first request that names it, or -1, int64 [n].

        A row is named by its id, the ids of its sources, its URL, the canonical URL that its page gave, and the host of
        either. `also` are more ids, with the number of a request: those of sources that were found elsewhere. A capture
        of unknown date counts as one after `since`.
        """
        found = np.full(rows.num_rows, _NOBODY, np.int64)
        ids = self._ids | (also or {})
        if ids:
            keys = pa.array(ids.keys(), pa.string())
            numbers = np.append(np.fromiter(ids.values(), np.int64, len(ids)), _NOBODY)
            places = pc.fill_null(pc.index_in(_column(rows, "id"), value_set=keys), len(ids))
            found = np.minimum(found, numbers[places.to_numpy(zero_copy_only=False)])
            if "source_ids" in rows.schema.names:
                lists = _column(rows, "source_ids")
                places = pc.fill_null(pc.index_in(lists.flatten(), value_set=keys), len(ids))
                parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
                np.minimum.at(found, parents, numbers[places.to_numpy(zero_copy_only=False)])
        if self._urls or self._hosts:
            self._find_by_address(rows, found)
        return np.where(found == _NOBODY, -1, found)

    def _find_by_address(self, rows: pa.RecordBatch | pa.Table, found: np.ndarray) -> None:
        names = set(rows.schema.names)
        fetched = _column(rows, "fetched_at") if "fetched_at" in names else None
        for column in ("url", "canonical_url"):
            if column not in names:
                continue
            urls = _column(rows, column)
            hosts = _column(rows, "host") if column == "url" and "host" in names else pa.nulls(len(urls), pa.string())
            for place, name in enumerate(self._known_hosts(urls, hosts)):
                if name is None:
                    continue
                numbers = self._of_host(name)
                if name in self._url_hosts:
                    numbers = [*numbers, *self._urls.get(comparable_url(urls[place].as_py() or ""), [])]
                day = fetched[place].as_py() if fetched is not None and numbers else None
                for number in numbers:
                    since = self.requests[number].since
                    if number < found[place] and (since is None or day is None or day.date() >= since):
                        found[place] = number

    def _known_hosts(self, urls: pa.Array, hosts: pa.Array) -> list[str | None]:
        """Of each row its host as it is compared, None where no request is about it."""
        missing = [
            host(url) if name is None and url else None
            for url, name in zip(urls.to_pylist(), hosts.to_pylist(), strict=True)
        ]
        coded = pc.coalesce(hosts, pa.array(missing, pa.string())).dictionary_encode()
        asked = []
        for name in coded.dictionary.to_pylist():
            name = comparable_host(name)
            asked.append(name if name in self._url_hosts or self._of_host(name) else None)
        return [None if code is None else asked[code] for code in coded.indices.to_pylist()]

    def _of_host(self, name: str) -> list[int]:
        numbers = list(self._hosts.get(name, []))
        while "." in name:
            name = name.partition(".")[2]
            numbers += [number for number in self._hosts.get(name, []) if self.requests[number].subdomains]
        return numbers


@functools.lru_cache(1)
def takedowns_in(folder: str) -> Takedowns:
    """What the list in a folder names; of a folder whose list never changes."""
    return Takedowns(read_requests(as_place(folder)))


def _column(rows: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
    column = rows.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
