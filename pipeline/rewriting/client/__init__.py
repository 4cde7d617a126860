"""The client of language models: asks any OpenAI-compatible endpoint, each request once, and accounts for every one.

with RequestCache(Path("runs/mine/requests.sqlite")) as cache:
    for answer in answer_all(requests, ClientSettings(endpoints=[…]), cache, Budget(tokens=1_000_000)):
        …
"""

from pipeline.rewriting.client.budget import Budget, Estimate, Prices, estimate
from pipeline.rewriting.client.cache import RequestCache
from pipeline.rewriting.client.engine import Client, answer_all
from pipeline.rewriting.client.ledger import TokenLedger
from pipeline.rewriting.client.messages import REASONS, Answer, Request, request_key
from pipeline.rewriting.client.settings import ClientSettings, Endpoint
from pipeline.rewriting.client.structured import fits_schema, read_json

__all__ = [
    "REASONS",
    "Answer",
    "Budget",
    "Client",
    "ClientSettings",
    "Endpoint",
    "Estimate",
    "Prices",
    "Request",
    "RequestCache",
    "TokenLedger",
    "answer_all",
    "estimate",
    "fits_schema",
    "read_json",
    "request_key",
]
