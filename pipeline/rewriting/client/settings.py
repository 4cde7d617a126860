"""Settings of the client: where the model answers, how hard it is asked, and when to give up."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pipeline.section import Positive, PositiveInt, Section


class Endpoint(Section):
    """A server that speaks the OpenAI protocol."""

    url: str = Field(description="its base, up to and with /v1")
    api_key_environment: str | None = Field(
        None, description="the environment variable that holds its key; the key itself stands nowhere"
    )
    model: str | None = Field(None, description="the name that it knows the model by, where another than the recipe's")
    in_flight: PositiveInt | None = Field(None, description="most requests at once, where another than the client's")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an endpoint is a URL such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password:
            raise ValueError("no key in a URL: put it into an environment variable, and its name here")
        return url.rstrip("/")


class ClientSettings(Section):
    """How requests are made."""

    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)] = Field(
        (Endpoint(url="http://127.0.0.1:8000/v1"),), description="the servers, each asked as much as it takes"
    )
    in_flight: PositiveInt = Field(
        256, description="most requests at once to an endpoint; halved when it refuses, then grown again"
    )
    timeout_seconds: Positive = Field(600, description="for one attempt as a whole")
    attempts: PositiveInt = Field(5, description="most attempts at a request; refusals do not count")
    first_backoff_seconds: Positive = Field(1, description="wait before the second attempt, doubled for each further")
    most_backoff_seconds: Positive = Field(60, description="longest of these waits, and longest rest of an endpoint")
    patience_seconds: Positive = Field(
        1_800, description="longest time that refusals or rests of all endpoints are waited out"
    )
    rest_after_failures: PositiveInt = Field(
        5, description="failures in a row after which an endpoint rests until its /models answers"
    )
    stop_after_failures: PositiveInt = Field(
        100, description="requests in a row that are given up for the server's fault before the run stops"
    )
    most_answer_bytes: PositiveInt = Field(8_000_000, description="an answer that goes on beyond is dropped")
    use_response_format: bool = Field(
        True, description="send JSON schemas to servers that take them; answers are held against them either way"
    )
    seed: Annotated[int, Field(ge=0)] = Field(1, description="of the jitter in the waits")
