"""The mark of a takedown that was begun in a release: until it has ended, nobody may rely on what lies there."""

from __future__ import annotations

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.files import atomic_file
from pipeline.release.json_record import Part, read_record
from pipeline.release.manifest import LOCAL
from pipeline.storage.places import Place, RemotePath, exists
from pipeline.takedown_list import Request

FORMAT = 1
TAKING_DOWN = "taking-down"
PLAN = "plan.json"


class Plan(Part):
    """What a takedown follows: `folder` holds the list as its tasks read it, `requests` are those to be remembered."""

    format: int = FORMAT
    folder: str
    requests: list[Request] = Field(default_factory=list)


def taking_down(release: Place) -> Place:
    """The folder of what a takedown notes while it is under way."""
    return release / LOCAL / TAKING_DOWN


def read_plan(release: Place) -> Plan | None:
    """The takedown that was begun here and has not ended."""
    try:
        return read_record(taking_down(release) / PLAN, Plan, FORMAT)
    except FileNotFoundError:
        return None


def write_plan(release: Place, plan: Plan) -> None:
    """From here on the takedown is made, by this run or by the next."""
    with atomic_file(taking_down(release) / PLAN) as file:
        file.write(plan.model_dump_json().encode("utf-8", "surrogatepass"))


def refuse_unfinished(release: Place) -> None:
    """Raise UsageError where a takedown has not ended: rows of it may be there, and the manifest does not hold."""
    if isinstance(release, RemotePath) and release.scheme != "s3":
        return
    if exists(taking_down(release) / PLAN):
        raise UsageError(
            f"a takedown was begun in {release} and did not end: kamisuki takedown {release} finishes it (where files "
            "are missing, after kamisuki release --replace has made them again); until then rows that are to go may be "
            "here or in what was made of it"
        )
