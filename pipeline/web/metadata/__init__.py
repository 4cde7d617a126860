"""Metadata: what a page says of itself: title, author, site, dates, description, its own URL and its language."""

from pipeline.web.metadata.dates import read_date
from pipeline.web.metadata.reader import Metadata, declared_language, read_metadata

__all__ = ["Metadata", "declared_language", "read_date", "read_metadata"]
