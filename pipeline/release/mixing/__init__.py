"""Mixes of releases by weights or budgets of tokens, and packs that compare corpora at equal tokens."""
