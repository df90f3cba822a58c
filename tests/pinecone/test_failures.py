"""Every exception of the SDK, every gRPC code and every HTTP status becomes an error of ours that says what to do."""

from __future__ import annotations

import inspect

import grpc
import httpx
import pytest
from pinecone import errors as sdk

from migrator.connectors.pinecone.failures import check, from_status, retry_after, translate
from migrator.errors import ConnectorError, MigratorError, PermanentError, RateLimitedError, TransientError

KINDS = sorted(
    {kind for kind in vars(sdk).values() if inspect.isclass(kind) and issubclass(kind, sdk.PineconeError)},
    key=lambda kind: kind.__name__,
)
EXPECTED = {
    "ApiError": PermanentError,
    "ConflictError": PermanentError,
    "FailedPreconditionError": PermanentError,
    "ForbiddenError": PermanentError,
    "IndexInitFailedError": PermanentError,
    "IndexTerminatedError": PermanentError,
    "NotFoundError": PermanentError,
    "PayloadTooLargeError": PermanentError,
    "PaymentRequiredError": PermanentError,
    "PineconeConnectionError": TransientError,
    "PineconeError": ConnectorError,
    "PineconeTimeoutError": TransientError,
    "PineconeTypeError": PermanentError,
    "PineconeValueError": PermanentError,
    "RateLimitError": RateLimitedError,
    "ResponseParsingError": TransientError,
    "ServiceError": TransientError,
    "UnauthorizedError": PermanentError,
}


class RpcError(grpc.RpcError):
    """A failed call as grpc raises it."""

    def __init__(self, code, details="details", trailing=()):
        self._code, self._details, self._trailing = code, details, trailing

    def code(self):
        return self._code

    def details(self):
        return self._details

    def initial_metadata(self):
        return ()

    def trailing_metadata(self):
        return self._trailing


def made(kind):
    return kind("said so", *{"ApiError": [400], "IndexTerminatedError": ["Failed"]}.get(kind.__name__, []))


def test_the_sdk_has_no_exception_unknown_here():
    assert {kind.__name__ for kind in KINDS} == set(EXPECTED)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_sdk_exceptions(kind):
    found = translate(made(kind), what="do it", address="https://there")
    assert type(found) is EXPECTED[kind.__name__]
    assert "do it" in found.message
    assert "said so" in found.message
    assert found.fix


def test_rate_limit_keeps_the_wait():
    assert translate(sdk.RateLimitError("slow", retry_after=2.5), what="x", address="y").retry_after == 2.5
    assert translate(sdk.RateLimitError("slow"), what="x", address="y").retry_after is None


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name)
def test_grpc_codes(code):
    found = translate(RpcError(code), what="do it", address="there")
    again = {"ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS"}
    expected = RateLimitedError if code.name == "RESOURCE_EXHAUSTED" else TransientError if code.name in again else PermanentError
    assert type(found) is expected
    assert found.fix


def test_a_revoked_key_is_one_thing_over_both_transports():
    found = {translate(error, what="x", address="y").code for error in (RpcError(grpc.StatusCode.UNAUTHENTICATED), sdk.UnauthorizedError("no"))}
    assert found == {"unauthorized"}


def test_grpc_tells_too_large_from_too_fast():
    large = RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (3 vs. 2)")
    assert translate(large, what="x", address="y").code == "request_too_large"
    slow = RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many requests", (("retry-after", "3"),))
    assert translate(slow, what="x", address="y").retry_after == 3


@pytest.mark.parametrize(("headers", "seconds"), [({"retry-after": "1.5"}, 1.5), ({"grpc-retry-pushback-ms": "250"}, 0.25), ({}, None)])
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "inf", "nan", ""])
def test_a_wait_that_is_no_number_of_seconds_is_none(text):
    assert retry_after({"retry-after": text}) is None


@pytest.mark.parametrize("status", range(400, 600))
def test_http_statuses(status):
    found = from_status(status, "said so", {}, what="do it", address="there")
    assert isinstance(found, (TransientError, PermanentError))
    assert isinstance(found, TransientError) == (status in {408, 425, 429} or (status >= 500 and status != 501))


def test_a_page_instead_of_json_is_worth_another_try():
    with pytest.raises(TransientError):
        check(httpx.Response(200, text="<html>sign in"), what="x", address="y")


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(409, json={"status": 409, "error": {"code": "ALREADY_EXISTS", "message": "said so"}}),
        httpx.Response(400, json={"code": 3, "message": "said so", "details": []}),
        httpx.Response(401, text="said so"),
    ],
)
def test_error_bodies(response):
    with pytest.raises(MigratorError, match="said so"):
        check(response, what="x", address="y")
