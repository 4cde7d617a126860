"""Main text: a page's blocks described, judged by a small model of trees, and written as a reader would copy them."""

from pipeline.web.main_text.extract import Text, extract, extractor_name
from pipeline.web.main_text.model import PAGE_TYPES

__all__ = ["PAGE_TYPES", "Text", "extract", "extractor_name"]
