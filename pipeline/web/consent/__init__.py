"""Consent: whether a page, its response or the robots.txt of its site refuses the use of its text to train models."""

from pipeline.web.consent.page_signals import Consent, find_consent

__all__ = ["Consent", "find_consent"]
