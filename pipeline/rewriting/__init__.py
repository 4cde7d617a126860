"""Rewriting: prompts, answers, checks and the client of language models. Nothing here knows a stage or Ray."""
