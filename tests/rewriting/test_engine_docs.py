"""docs/rewriting.md names every setting and every reason of the client, with its default and in its words."""

from __future__ import annotations

import pytest

from pipeline.rewriting.client import REASONS, ClientSettings, Endpoint
from tests.pipeline.test_docs import page, rows, section

ENGINE = section(page("docs/rewriting.md"), "## The engine")


@pytest.mark.parametrize("model", [ClientSettings, Endpoint])
def test_settings_are_documented_with_their_defaults(model: type) -> None:
    tables = rows(section(ENGINE, "### Settings"))
    for name, field in model.model_fields.items():
        default, meaning = tables[name]
        assert meaning
        if isinstance(field.default, int | float) and name != "in_flight":
            assert default == str(field.default).lower().removesuffix(".0"), name


def test_reasons_are_documented() -> None:
    assert {name: cells[0] for name, cells in rows(section(ENGINE, "### Reasons")).items()} == REASONS
