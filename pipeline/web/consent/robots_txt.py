"""robots.txt: whether agents may fetch a path, and what Content-Signal and Content-Usage lines say of it."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from protego import Protego

from pipeline.web.consent.page_signals import LONGEST_EVIDENCE, MOST_SIGNALS
from pipeline.web.consent.signals import (
    ALLOWED,
    LONGEST_VALUE,
    NAMED,
    REFUSED,
    Signal,
    read_content_signal,
    read_content_usage,
)

# RFC 9309, 2.5: a crawler's limit must be at least 500 kibibytes.
MAX_BYTES = 500 * 1024
# Evidence is looked for among so many rules of a group; more are for robots, not for people.
_MOST_RULES_SHOWN = 1_000
_SIGNAL_FIELDS = {"content-signal": read_content_signal, "content-usage": read_content_usage}
# Fields as protego reads them: some of their misspellings count, and a blank may stand for the colon.
_AGENT_FIELDS = frozenset(("user-agent", "useragent", "user agent"))
_DISALLOW_FIELDS = frozenset(("disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"))
_SITE_FIELDS = frozenset(("sitemap", "sitemaps", "site-map", "host"))
_OTHER_FIELDS = frozenset(
    ("allow", "crawl-delay", "crawl delay", "request-rate", "request rate", "visit-time", "visit time")
)
_FIELDS = _AGENT_FIELDS | _DISALLOW_FIELDS | _SITE_FIELDS | _OTHER_FIELDS
# RFC 9309, 2.2: lines end with CR, LF or both. These end lines for str.splitlines, and so for the parser, too.
_NO_LINE_ENDS = str.maketrans(dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " "))
# A version behind an agent's name is no part of its product token (RFC 9309, 2.2.1; RFC 9110, 10.1.5).
_VERSIONED = re.compile(
    r"(?<![^\r\n])([ \t]*user[- ]?agent[ \t]*+:?[ \t]*+[^\s/#:][^/#\r\n]*)/[^\r\n#]*", re.IGNORECASE
)
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_PATH_AND_VALUE = re.compile(r"(/\S*)(?:\s+(.*))?", re.DOTALL)
EVERYONE = "*"


def _percent(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("kamisuki-percent", _percent)


def decode_robots_txt(body: bytes) -> str:
    """The text of a robots.txt: its first 500 KiB up to the last whole line, without a byte order mark.

    Bytes that are no UTF-8 become percent-escapes, which is how they would stand in a URL: a path in CP932 still means
    what it meant. Never raises.
    """
    if len(body) > MAX_BYTES:
        body = body[:MAX_BYTES]
        # A rule that is cut short could mean another path.
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
    return body.removeprefix(codecs.BOM_UTF8).decode("utf-8", "kamisuki-percent").translate(_NO_LINE_ENDS)


def _octets(path: str) -> int:
    """How long a path is in its percent-encoded form, by which the longest match is told."""
    return len(quote(path, safe=_PRINTABLE))


@dataclass
class _Group:
    """The lines of one agent: patterns that are disallowed, and (path pattern, field, value) of signals."""

    disallowed: list[str] = field(default_factory=list)
    signals: list[tuple[str, str, str]] = field(default_factory=list)


def _field_and_value(line: str) -> tuple[str, str] | None:
    """The field of a line in lower case and its value, as protego takes them; None of a line that has none."""
    name, colon, value = line.partition(":")
    name = name.strip().lower()
    if colon and (name in _FIELDS or not value or value[0].isspace()):
        return name, value.strip()
    words = line.split()
    for count in (1, 2):
        if (candidate := " ".join(words[:count]).lower()) in _FIELDS:
            return candidate, " ".join(words[count:])
    return (name, value.strip()) if colon else None


def _read_groups(text: str) -> dict[str, _Group]:
    """The groups by agent in lower case; signals before the first group hold for everyone."""
    groups: dict[str, _Group] = {}
    current: list[_Group] = []
    in_agents = False
    for line in text.splitlines():
        parsed = _field_and_value(line.partition("#")[0].strip())
        if parsed is None:
            continue
        name, value = parsed
        if name in _AGENT_FIELDS:
            if not in_agents:
                current = []
            in_agents = True
            agent = value.lower()
            for known in (agent, "" if agent == EVERYONE else agent.replace("*", "")):
                if known and not any(groups.get(known) is group for group in current):
                    current.append(groups.setdefault(known, _Group()))
        elif name not in _SITE_FIELDS:
            in_agents = False
            if name in _SIGNAL_FIELDS:
                match = _PATH_AND_VALUE.fullmatch(value)
                signal = (match[1], name, match[2] or "") if match else ("/", name, value)
                for group in current or [groups.setdefault(EVERYONE, _Group())]:
                    group.signals.append(signal)
            elif name in _DISALLOW_FIELDS and value:
                for group in current:
                    group.disallowed.append(value)
    return groups


class RobotsTxt:
    """One robots.txt, parsed once. Fetching is judged by protego, as RFC 9309 says."""

    def __init__(self, text: str) -> None:
        text = _VERSIONED.sub(r"\1", text)
        self._rules = Protego.parse(text)
        self._groups = _read_groups(text)
        self._patterns: dict[str, Protego] = {}
        self._group_of: dict[tuple[str, ...], tuple[str, ...]] = {}

    def _matches(self, pattern: str, url: str) -> bool:
        if pattern not in self._patterns:
            self._patterns[pattern] = Protego.parse(f"User-agent: *\nDisallow: {pattern}")
        return not self._patterns[pattern].can_fetch(url, EVERYONE)

    def _group_name(self, agent: str) -> str:
        """The group that holds for an agent: that of its product token, whole and in any case (RFC 9309, 2.2.1).

        A name that ends with an asterisk means all that begin so; Google is not Google-Extended.
        """
        token = agent.lower().partition("/")[0]
        if token in self._groups:
            return token
        begun = [name[:-1] for name in self._groups if name.endswith("*") and token.startswith(name[:-1])]
        return max(begun, key=len, default="") or EVERYONE

    def _groups_of(self, agents: tuple[str, ...]) -> tuple[str, ...]:
        """The groups that hold for agents, each once."""
        if agents not in self._group_of:
            self._group_of[agents] = tuple(dict.fromkeys(self._group_name(agent) for agent in agents))
        return self._group_of[agents]

    def _signals(self, group: _Group, url: str) -> Iterator[Signal]:
        """What the group's signals say of a URL: of each field, those with the longest path that matches."""
        for name, read in _SIGNAL_FIELDS.items():
            fitting = [signal for signal in group.signals if signal[1] == name and self._matches(signal[0], url)]
            longest = max((_octets(path) for path, _, _ in fitting), default=0)
            for path, _, value in fitting:
                if _octets(path) == longest:
                    where = "" if path == "/" else f"{path[:LONGEST_VALUE]} "
                    for verdict, shown in read(value):
                        yield verdict, f"{name}: {where}{shown}"

    def _refusing_rule(self, group: _Group, url: str) -> str:
        for pattern in sorted(group.disallowed[:_MOST_RULES_SHOWN], key=len, reverse=True):
            if self._matches(pattern, url):
                return f"disallow: {pattern[:LONGEST_VALUE]}"
        return "disallow"

    def decide(self, path: str, agents: Sequence[str]) -> tuple[str, str]:
        """Verdict and evidence for a path with its query, which begins with `/`. Never raises.

        Refused when one of the agents may not fetch the path, or a signal in its group refuses training; else allowed.
        """
        # Only the path counts, and a host of our own cannot break the URL.
        url = f"https://host{path}"
        found: dict[str, list[str]] = {REFUSED: [], ALLOWED: [], NAMED: []}
        for name in self._groups_of(tuple(agents)):
            group = self._groups.get(name, _Group())
            if not self._rules.can_fetch(url, name):
                found[REFUSED].append(f"{name}: {self._refusing_rule(group, url)}")
            for verdict, shown in self._signals(group, url):
                found[verdict].append(f"{name}: {shown}")
        verdict = REFUSED if found[REFUSED] else ALLOWED
        texts = [shown for each in found.values() for shown in each]
        if not found[REFUSED] and not found[ALLOWED]:
            texts.insert(0, "no rule refuses")
        return verdict, "; ".join(texts[:MOST_SIGNALS])[:LONGEST_EVIDENCE]
