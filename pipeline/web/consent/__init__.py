"""Consent: whether a page, its response or the robots.txt of its site refuses the use of its text to train models."""
