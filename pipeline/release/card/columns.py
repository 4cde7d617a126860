"""What the columns of a corpus and of a rewritten table hold, in a line each, for the card of a release."""

from __future__ import annotations

from filters.groups import known_signals

_PAGES = {
    "id": "name of the row, the same in every run; of a page the UUID of its WARC record",
    "url": "address of the page",
    "host": "host of the URL, lower case, without port",
    "title": "the page's title without the site's name",
    "text": "the text; paragraphs are parted by newlines",
    "crawl": "name of the crawl",
    "fetched_at": "when the page was fetched, UTC",
    "warc_file": "the WARC file that holds the page",
    "warc_offset": "where its record begins in that file, bytes",
    "warc_length": "bytes of the file that the record takes",
    "warc_record_id": "WARC-Record-ID",
    "warc_truncated": "why the crawler cut the page; null where it did not",
    "payload_digest": "digest of the page's bytes, by the crawler",
    "http_status": "status of the response",
    "content_type": "media type of the response",
    "charset": "charset by which the page was decoded",
    "charset_source": "how that charset was found",
    "charset_replacements": "places that could not be decoded (U+FFFD)",
    "declared_language": "language that the page declares",
    "language": "language that lid.176 finds in the text",
    "language_score": "its probability",
    "author": "authors that the page names",
    "site_name": "name of the site",
    "published_at": "day of publication, as the page says",
    "modified_at": "day of the last change, as the page says",
    "description": "the page's own summary",
    "canonical_url": "address that the page calls its own",
    "license": "SPDX id (else LicenseRef-…) of the license of the text; null where none was found",
    "license_url": "URL or text that says so",
    "license_source": "where that was found",
    "license_tier": "the license's tier",
    "license_disagreement": "what is declared where it is not one license",
    "license_compatible_with": "CC-BY-4.0 where the license's own words say so",
    "consent": "what page and response say of training: allowed, refused or unknown",
    "consent_evidence": "all signals of that with their values",
    "extractor": "what took the text from the page, with its version",
    "page_type": "article, collection, documentation, forum, listing, product or service",
    "extraction_confidence": "F1 that is expected of the extracted text, 0 to 1",
    "link_ratio": "share of the text's letters that stand in links",
    "capped": "what of the page was too much to read",
    "source": "name of the source of an ingested row; null for pages",
    "source_id": "the row's own id in its source",
    "source_metadata": "fields of the row in its source, JSON",
    "duplicate_cluster": "name of the cluster of duplicates of which this page stayed: its id",
    "duplicate_cluster_size": "pages in that cluster",
    "repeat": "how often to read the page, by the recipe's rehydration",
    "edits": "what was cut from the text or replaced in it",
    "tier": "tier of quality that the recipe's rules gave",
    "robots": "what robots.txt said of training when the page was fetched",
    "robots_evidence": "the lines that decided it",
    "robots_fetched_at": "when that robots.txt was fetched",
    "robots_latest": "what the newest capture of robots.txt says",
    "robots_latest_evidence": "the lines that decided it",
    "robots_latest_fetched_at": "when it was fetched",
}

_REWRITTEN = {
    "source_ids": "ids of the rows that the text was made from",
    "messages": "the chat, where the answer is one",
    "license": "license of the text: the stricter of those of source and model",
    "license_tier": "that license's tier",
    "source_license": "license of the source",
    "source_license_url": "what says so",
    "source_license_tier": "its tier",
    "generator": "the model that wrote the text; null where it is still the source's",
    "generator_license": "license of the model",
    "generator_training": "may other models be trained with what it wrote: allowed, named or forbidden",
    "lineage": "the questions that the text owes itself to: step, prompt, model, parameters, attempt, tokens",
    "fell_back": "steps at which the row failed and went on nevertheless",
}


def meanings(kind: str, columns: list[str]) -> dict[str, str]:
    """What each column of a task of this kind holds; empty for one that the recipe named itself.

    In a rewritten table, what is not its own is the source's, and STEP_COLUMN is what a step measured.
    """
    signals = {name: signal.description for name, signal in known_signals().items()}
    known = {**signals, **_PAGES, **(_REWRITTEN if kind == "rewritten" else {})}
    return {column: known.get(column, "") for column in columns}
