"""S3: one put a file, reads that survive cuts, one listing a folder, and errors that say what to do.

boto3 finds credentials, region and endpoint by its usual chain: environment (AWS_PROFILE, AWS_ENDPOINT_URL, …), files
in ~/.aws, the role of a container or machine. It adds a checksum to each put and verifies those of whole objects.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)
from urllib3.exceptions import HTTPError

from pipeline import __version__
from pipeline.errors import KamisukiError, UsageError

# botocore's standard mode waits up to 20 s between tries (AWS SDKs and Tools Reference Guide, "Retry behavior"): twelve
# outlast a server that is gone for a minute and more.
TRIES = 12
CHUNK_BYTES = 1_048_576
# A page of a listing costs about as much as so many questions for one object (S3's prices: 5 and 0.4 USD a million).
OBJECTS_A_PAGE = 12
# The largest object that one put may make (Amazon S3 User Guide, "Uploading objects").
LARGEST_PUT_BYTES = 5 * 2**30
_MISSING = ("404", "NoSuchKey", "NotFound")
_lock = threading.Lock()


@dataclass(frozen=True)
class S3Object:
    """An object: its key, size in bytes and ETag."""

    key: str
    bytes: int
    etag: str


class OutOfRange(KamisukiError):
    """An object ends before the range that was asked for."""


class Changed(KamisukiError):
    """An object is not the one that was looked at before."""


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URL. Raises UsageError when there is no bucket."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"{url}: an S3 URL reads s3://bucket/prefix")
    return bucket, key.rstrip("/")


@lru_cache(maxsize=4)
def _client_of(process: int) -> Any:
    # Loading boto3 takes longer than most commands, and most runs have no need of it.
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": TRIES},
        connect_timeout=20,
        read_timeout=90,
        max_pool_connections=32,
        user_agent_extra=f"Kamisuki/{__version__}",
    )
    try:
        return boto3.session.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise KamisukiError(
            f"S3: {_without_secrets(error)}: check AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL"
        ) from None


def client() -> Any:
    """This process's client; a process that was forked makes its own."""
    with _lock:
        return _client_of(os.getpid())


def _without_secrets(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def explain(error: Exception, url: str) -> Exception:
    """A KamisukiError that says what to do, or FileNotFoundError for an object that is not there."""
    bucket, _ = split(url)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return KamisukiError(
            f"{url}: S3 needs credentials and none were found ({_without_secrets(error)}): set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role; Common Crawl can be read without "
            "any from --base https://data.commoncrawl.org/"
        )
    if isinstance(error, EndpointConnectionError):
        return KamisukiError(f"{url}: {_without_secrets(error)}: check AWS_ENDPOINT_URL, AWS_REGION and the network")
    if not isinstance(error, ClientError):
        return KamisukiError(f"{url}: {_without_secrets(error)}")
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code == "NoSuchBucket":
        return KamisukiError(f"{url}: there is no bucket {bucket!r}: check the name, AWS_REGION and AWS_ENDPOINT_URL")
    if code in _MISSING:
        return FileNotFoundError(2, "no such object", url)
    if code in ("PreconditionFailed", "412"):
        return Changed(f"{url} changed while it was read: run again when it is whole")
    if status == 416:
        return OutOfRange(f"{url} ends before the bytes that were asked for: it is not the file that was meant")
    if code in ("AccessDenied", "403", "AllAccessDisabled"):
        return KamisukiError(
            f"{url}: S3 refuses access: the credentials that were found may not list, read or write here, or there is "
            f"no such object; check who you are with `aws sts get-caller-identity` and the policy of bucket {bucket!r}"
        )
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"):
        return KamisukiError(f"{url}: S3 does not accept the credentials ({code}): renew them and run again")
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
        return KamisukiError(f"{url}: bucket {bucket!r} lies in another region: set AWS_REGION to it")
    return KamisukiError(f"{url}: S3 answered {code} (status {status}) after {TRIES} tries: run again later")


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn errors of boto3 into ours."""
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError) as error:
        raise explain(error, url) from None


def head(url: str) -> S3Object | None:
    """Size and ETag of an object; None when it is not there."""
    bucket, key = split(url)
    try:
        with explained(url):
            found = client().head_object(Bucket=bucket, Key=key)
    except FileNotFoundError:
        return None
    return S3Object(key, int(found["ContentLength"]), str(found["ETag"]))


def list_objects(url: str, below: bool, after: str = "", most_pages: int | None = None) -> Iterator[S3Object]:
    """Objects whose URL begins with `url`; with `below` False only those without a further slash.

    `after` is a key: only those behind it; `most_pages` of a thousand are asked for.
    """
    bucket, _ = split(url)
    prefix = url.removeprefix("s3://").partition("/")[2]
    more = ({} if below else {"Delimiter": "/"}) | ({"StartAfter": after} if after else {})
    pages = client().get_paginator("list_objects_v2")
    with explained(url):
        for page in itertools.islice(pages.paginate(Bucket=bucket, Prefix=prefix, **more), most_pages):
            for item in page.get("Contents", []):
                yield S3Object(item["Key"], int(item["Size"]), str(item["ETag"]))


def listed_sizes(urls: list[str]) -> dict[str, int]:
    """Bytes of those of the objects that listings of their folders show for less than a question for each costs."""
    folders: dict[str, set[str]] = {}
    for url in urls:
        folders.setdefault(url.rpartition("/")[0], set()).add(url)
    found = {}
    for folder, wanted in folders.items():
        pages, first, last = len(wanted) // OBJECTS_A_PAGE, min(wanted), max(wanted)
        if not pages:
            continue
        bucket, key = split(first)
        # A key sorts behind all that are shorter by its last character.
        for item in list_objects(f"{folder}/", below=False, after=key[:-1], most_pages=pages + 1):
            url = f"s3://{bucket}/{item.key}"
            if url in wanted:
                found[url] = item.bytes
            if url >= last:
                break
    return found


def open_range(url: str, start: int, stop: int | None, etag: str | None, held: str | None = None) -> Any:
    """The answer of get_object to a range; None when the object is still the one of ETag `held`.

    Raises Changed when it is not the one of `etag`.
    """
    bucket, key = split(url)
    more: dict[str, str] = {}
    if start or stop is not None:
        more["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
    if etag:
        more["IfMatch"] = etag
    if held:
        more["IfNoneMatch"] = held
    try:
        return client().get_object(Bucket=bucket, Key=key, **more)
    except ClientError as error:
        if held and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 304:
            return None
        raise explain(error, url) from None
    except (BotoCoreError, HTTPError) as error:
        raise explain(error, url) from None


CUT = (IncompleteReadError, ReadTimeoutError, HTTPError, ConnectionError, TimeoutError)


def put(local: Path, url: str) -> None:
    """Put a file as one object: a single request up to 5 GiB, else parts that are removed when one of them fails."""
    bucket, key = split(url)
    with explained(url):
        if local.stat().st_size <= LARGEST_PUT_BYTES:
            with open(local, "rb") as body:
                client().put_object(Bucket=bucket, Key=key, Body=body)
        else:
            from boto3.s3.transfer import TransferConfig

            parts = TransferConfig(multipart_threshold=LARGEST_PUT_BYTES, multipart_chunksize=256 * 2**20)
            client().upload_file(str(local), bucket, key, Config=parts)


def put_if(url: str, body: bytes, etag: str | None) -> str | None:
    """Put a small object where none is (`etag` None), or in the place of the one with `etag`.

    Returns the new ETag, or None when somebody else was faster.
    """
    bucket, key = split(url)
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    try:
        return str(client().put_object(Bucket=bucket, Key=key, Body=body, **condition)["ETag"])
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (404, 409, 412):
            return None
        raise explain(error, url) from None
    except BotoCoreError as error:
        raise explain(error, url) from None


def delete(urls: list[str]) -> None:
    """Delete objects, a thousand a request; those that are not there are no error."""
    for start in range(0, len(urls), 1000):
        some = [split(url) for url in urls[start : start + 1000]]
        with explained(urls[start]):
            if len(some) == 1:
                client().delete_object(Bucket=some[0][0], Key=some[0][1])
            else:
                keys = [{"Key": key} for _, key in some]
                answer = client().delete_objects(Bucket=some[0][0], Delete={"Objects": keys, "Quiet": True})
                if answer.get("Errors"):
                    first = answer["Errors"][0]
                    raise KamisukiError(f"s3://{some[0][0]}/{first['Key']}: cannot be deleted ({first['Code']})")


def abort_uploads(url: str) -> int:
    """Remove the parts of uploads below `url` that a killed process left; returns how many uploads there were."""
    bucket, prefix = split(url)
    count = 0
    with explained(url):
        pages = client().get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=bucket, Prefix=f"{prefix}/" if prefix else ""):
            for upload in page.get("Uploads", []):
                client().abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                count += 1
    return count
