"""Formats: the rows of files that are no web archives, each with its number, and why one cannot be used."""
