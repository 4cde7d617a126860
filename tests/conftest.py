"""Settings of the whole suite."""

import os

from hypothesis import settings

# The first call of a compiled function loads it from the cache, which takes longer than hypothesis allows an example.
settings.register_profile("kamisuki", deadline=None, max_examples=60, derandomize=bool(os.environ.get("CI")))
settings.load_profile("kamisuki")
