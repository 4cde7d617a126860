"""Reading the Japanese web: WARC records, charsets, main text, language, license and consent."""
