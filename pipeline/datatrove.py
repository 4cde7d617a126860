"""datatrove: our extractor as a step of a datatrove pipeline, in the place of its own extractors.

    pipeline = [WarcReader("crawl/"), KamisukiExtractor(ruby="parentheses"), JsonlWriter("out/")]

Needs the package datatrove (0.10 or later), which Kamisuki itself does not.
"""

from __future__ import annotations

from collections.abc import Iterator

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.extractors.base import BaseExtractor

from pipeline.web import main_text


class KamisukiExtractor(BaseExtractor):
    """Puts a page's main text in the place of its HTML. Pages without text are dropped, and counted as such.

    tables, ruby and headline are those of `pipeline.web.main_text.extract`. datatrove extracts in a child process of
    each task, and `timeout` is its limit for one page in seconds; a page needs a thousandth of it.
    """

    name = "紙 Kamisuki"

    def __init__(
        self, tables: str = "rows", ruby: str = "dropped", headline: str = "kept", timeout: float = 10.0
    ) -> None:
        super().__init__(timeout)
        self.tables = tables
        self.ruby = ruby
        self.headline = headline

    def extract(self, text: str) -> str:
        """The main text of a page's decoded HTML. Raises ValueError for a setting that there is not."""
        found = main_text.extract(text, tables=self.tables, ruby=self.ruby, headline=self.headline)
        return found.text

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Extract each document's text.

        Compiled code and model are loaded here, so that the child inherits them and no page waits for them; a wrong
        setting is an error here, where datatrove would count every page as one that failed.
        """
        self.extract("<p>紙</p>")
        yield from super().run(data, rank, world_size)
