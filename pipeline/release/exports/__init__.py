"""Exports: data files of a release in the formats that trainers and tokenizers read."""
