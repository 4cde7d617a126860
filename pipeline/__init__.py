"""The flow: from WARC files to a chosen Japanese corpus, stage by stage, on Ray."""

__version__ = "0.1.0"
