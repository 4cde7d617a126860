"""Names of crawlers: the sets of configs/ai-user-agents.yaml."""

from collections.abc import Sequence
from functools import lru_cache

import yaml

from pipeline.errors import UsageError
from pipeline.shipped import configs_folder


@lru_cache(maxsize=1)
def agent_sets() -> dict[str, tuple[str, ...]]:
    """The sets of names that come with kamisuki, by the set's name. Raises UsageError when the file is damaged."""
    path = configs_folder() / "ai-user-agents.yaml"
    try:
        sets = yaml.safe_load(path.read_text(encoding="utf-8"))["sets"]
        return {str(name): tuple(str(agent) for agent in agents) for name, agents in sets.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        raise UsageError(f"{path} cannot be read as sets of user agents: restore it from the release") from None


def agents_of(named: str | Sequence[str]) -> tuple[str, ...]:
    """The agents that a recipe means: a set by its name, or names. Raises ValueError when there is no such set."""
    if not isinstance(named, str):
        return tuple(named)
    sets = agent_sets()
    if named not in sets:
        raise ValueError(f"unknown set {named!r}; there are {', '.join(sets)}; or give a list of names")
    return sets[named]


@lru_cache(maxsize=1)
def training_agents() -> frozenset[str]:
    """The names of the set `training`, in lower case: those by which a page's own signals are judged."""
    return frozenset(agent.lower() for agent in agent_sets()["training"])
