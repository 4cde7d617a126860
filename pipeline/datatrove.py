"""datatrove: our extractor and our rules as steps of a datatrove pipeline, in the place of its own.

pipeline = [
    WarcReader("crawl/"),
    KamisukiExtractor(ruby="parentheses"),
    KamisukiFilter("swallow-v2"),
    JsonlWriter("out/"),
]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.extractors.base import BaseExtractor
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from filters.groups import make_group
from filters.rules import judge
from pipeline.recipe import Recipe, find_recipe, load_recipe
from pipeline.schemas import DOCUMENTS, SELECTABLE_DOCUMENT_COLUMNS
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


class KamisukiFilter(BaseFilter):
    """Keeps what passes the rules of a recipe: a shipped one's name, a path, or a Recipe; reasons are Kamisuki's.

    Signals are measured on each document's text and its metadata's `url`. A rule on a column that only our extraction
    knows (`license_tier`, `language_score`, …) reads the metadata of that name; where there is none it is null:
    limits of numbers and `none_of` pass, `any_of` does not. Duplicates, edits and robots.txt are not judged here.
    """

    name = "紙 Kamisuki rules"

    def __init__(self, recipe: str | Recipe, batch_size: int = 256, exclusion_writer: DiskWriter | None = None) -> None:
        super().__init__(exclusion_writer, batch_size)
        self.recipe = recipe if isinstance(recipe, Recipe) else load_recipe(find_recipe(recipe))
        # Digests of assets are taken once, where the pipeline is made; models load where it runs.
        self.groups = [(group.kind, group.settings) for group in self.recipe.groups().values()]

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Whether one document is kept, else why not."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """The same of several, which is faster."""
        # Half a surrogate pair stands in no Arrow string.
        texts = [doc.text.encode("utf-8", "replace").decode("utf-8") for doc in batch]
        columns: dict[str, Any] = {"text": pa.array(texts, pa.string()), "url": _metadata(batch, "url", pa.string())}
        documents = pa.RecordBatch.from_pydict(columns)
        for kind, settings in self.groups:
            group = make_group(kind, settings)
            signals = group.measure(documents.select(list(group.columns)))
            columns |= {name: signals.column(name) for name in signals.schema.names}
        rules = self.recipe.select.active_rules()
        for rule in rules:
            if rule.signal not in columns:
                known = rule.signal in SELECTABLE_DOCUMENT_COLUMNS
                columns[rule.signal] = _metadata(
                    batch, rule.signal, DOCUMENTS.field(rule.signal).type if known else pa.string()
                )
        verdicts = judge(pa.RecordBatch.from_pydict(columns), rules, self.recipe.select.best_tier)
        return [
            True if passed else (False, reason)
            for passed, reason in zip(verdicts.passed.to_pylist(), verdicts.reason.to_pylist(), strict=True)
        ]


def _metadata(batch: list[Document], name: str, kind: pa.DataType) -> pa.Array:
    return pa.array([doc.metadata.get(name) for doc in batch], kind)
