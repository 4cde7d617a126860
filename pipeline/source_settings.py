"""Recipe keys of sources: where crawls are read from, and how politely. They decide no byte of any table."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.section import Positive, PositiveInt, Section
from pipeline.storage.http import Politeness

COMMON_CRAWL = "https://data.commoncrawl.org/"


class Sources(Section):
    """How inputs on S3 and on web servers are read."""

    base: str = Field(COMMON_CRAWL, description="where the paths of crawls and of lists begin: a URL or a folder")
    contact: str = Field("", description="a URL or an address that the User-Agent names besides Kamisuki and version")
    connections: Annotated[int, Field(ge=1, le=64)] = Field(
        2, description="connections to one web server at a time, from this machine as a whole"
    )
    tries: PositiveInt = Field(12, description="failures in a row after which a file is given up")
    wait_seconds: Positive = Field(5.0, description="wait after the first failure; doubled after each, at most 900")
    timeout_seconds: Positive = Field(60.0, description="longest silence of a server")
    hosts: tuple[str, ...] = Field((), description="other hosts that redirects may lead to")
    cache_bytes: Annotated[int, Field(ge=0)] = Field(
        20_000_000_000, description="fetched inputs that are kept on this machine, bytes"
    )

    def politeness(self) -> Politeness:
        """The same for those who fetch."""
        return Politeness(**self.model_dump(exclude={"base"}))
