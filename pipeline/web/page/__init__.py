"""The page reader: one compiled pass over a page's UTF-8 bytes, giving arrays that all else is read from."""

from pipeline.web.page.reader import Page, read_page

__all__ = ["Page", "read_page"]
