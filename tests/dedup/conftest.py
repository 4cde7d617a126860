"""Hypothesis without a deadline: the first call of a compiled function takes seconds, and no test here is of speed."""

from hypothesis import settings

settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
