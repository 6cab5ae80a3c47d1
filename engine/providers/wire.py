"""One exchange with a provider: request out, reply in, and every way in which it fails as a named error.

Never retries, counts or waits; never follows a redirect, sends a cookie or takes a setting from the
environment: the given httpx2 transport is used bare, so that no client in between logs an address.
"""

import asyncio
import logging
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import httpx2

from engine.domain.instants import SECOND_US, to_us
from engine.errors import (
    AnswerBanned,
    AnswerFailed,
    AnswerRedirected,
    AnswerRefused,
    AnswerRejected,
    AnswerThrottled,
    AnswerTooLarge,
    AnswerUnreadable,
    ConnectFailed,
    ConnectTimedOut,
    ProviderError,
    ReadBroken,
    ReadTimedOut,
)
from engine.providers.secrets import STRUCK, Secret, excerpt, strike_bytes
from engine.version import VERSION

CONNECT_S_MAX = 5.0  # a provider that is up accepts within a fraction of it
READ_S_MAX = 15.0  # between two pieces of an answer
TOTAL_S_MAX = 30.0  # a whole answer, however it drips
BODY_BYTES_MAX = 8_000_000  # twenty times the largest page that any provider documents
ERROR_BYTES_SHOWN = 2_000  # of an error's body, before the excerpt is cut

# Below WARNING it writes every header of a reply, and a reply may repeat a key.
logging.getLogger("httpcore2").setLevel(logging.WARNING)

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how large one exchange may be: seconds and bytes."""

    connect_s: float = CONNECT_S_MAX
    read_s: float = READ_S_MAX
    total_s: float = TOTAL_S_MAX
    body_bytes: int = BODY_BYTES_MAX


class Request(NamedTuple):
    """A GET below the provider's root. Secret parameters and headers are never shown."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    secret_params: tuple[tuple[str, Secret], ...] = ()
    secret_headers: tuple[tuple[str, Secret], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """`url` and `body` without secrets; `headers` with lower-case names; `date_us`: the provider's clock."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    date_us: int | None


class Wire:
    """Exchanges with one provider. ValueError for a root that is neither https nor on this machine."""

    def __init__(
        self,
        name: str,
        root: str,
        http: httpx2.AsyncBaseTransport,
        secrets: tuple[Secret, ...],
        bounds: Bounds,
    ) -> None:
        parts = urlsplit(root)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not safe or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{name}: an address must be https://host[:port][/path]")
        self._name, self._root, self._http = name, root.rstrip("/"), http
        self._secrets, self._bounds = secrets, bounds

    async def exchange(self, request: Request) -> Reply | ProviderError:
        """The reply, or what went wrong before there was a whole one."""
        try:
            async with asyncio.timeout(self._bounds.total_s):
                return await self._send(request)
        except TimeoutError:
            return ReadTimedOut(self._tried(request, f"no whole answer within {self._bounds.total_s:g} s"))
        except httpx2.TransportError as error:
            return self._named(request, error)
        except ProviderError as error:
            return error

    def status_error(self, reply: Reply) -> ProviderError | None:
        """What a status means, with the provider's own words; None for 2xx."""
        if 200 <= reply.status < 300:
            return None
        words = excerpt(reply.body[:ERROR_BYTES_SHOWN].decode("utf-8", "replace"), self._secrets)
        said = f"{self._name} answered {reply.status} to {reply.url}" + (f": {words}" if words else "")
        return _leaf(reply.status)(said)

    def _named(self, request: Request, error: httpx2.TransportError) -> ProviderError:
        said = excerpt(f"{type(error).__name__} {error}", self._secrets)
        if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
            return ConnectTimedOut(self._tried(request, "no connection in time"))
        if isinstance(error, httpx2.TimeoutException):
            return ReadTimedOut(self._tried(request, f"nothing came for {self._bounds.read_s:g} s"))
        if isinstance(error, httpx2.ConnectError | httpx2.ProxyError):
            return ConnectFailed(self._tried(request, said))
        return ReadBroken(self._tried(request, said))

    async def _send(self, request: Request) -> Reply:
        response = await self._http.handle_async_request(self._outgoing(request))
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            self._check_coding(request, headers)
            body = strike_bytes(await self._body(request, response), self._secrets)
        finally:
            await response.aclose()
        return Reply(response.status_code, headers, body, self.shown(request), _date_us(headers.get("date")))

    def _outgoing(self, request: Request) -> httpx2.Request:
        params = [*request.params, *((name, key.reveal()) for name, key in request.secret_params)]
        headers = {
            "User-Agent": f"navdeck/{VERSION}", "Accept": "application/json", "Accept-Encoding": "identity",
        }  # fmt: skip
        headers |= {name: key.reveal() for name, key in request.secret_headers}
        url = self._root + request.path + ("?" + urlencode(params) if params else "")
        read, connect = self._bounds.read_s, self._bounds.connect_s
        timeout = {"connect": connect, "pool": connect, "read": read, "write": read}
        return httpx2.Request("GET", url, headers=headers, extensions={"timeout": timeout})

    def _check_coding(self, request: Request, headers: dict[str, str]) -> None:
        coding = headers.get("content-encoding", "identity")
        if coding != "identity":  # a small packed answer may unpack to any size
            raise AnswerUnreadable(self._tried(request, f"packed as {excerpt(coding)}, which was not asked"))

    async def _body(self, request: Request, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > self._bounds.body_bytes:
                raise AnswerTooLarge(self._tried(request, f"over {self._bounds.body_bytes:,} bytes"))
        return bytes(body)

    def shown(self, request: Request) -> str:
        """The address of a request, keys struck out."""
        params = urlencode(request.params) + "".join(f"&{name}={STRUCK}" for name, _ in request.secret_params)
        return self._root + request.path + ("?" + params.lstrip("&") if params else "")

    def _tried(self, request: Request, what: str) -> str:
        return f"{self._name}, {self.shown(request)}: {what}"


def _leaf(status: int) -> type[ProviderError]:
    named = {
        429: AnswerThrottled, 418: AnswerBanned, 401: AnswerRefused, 403: AnswerRefused, 451: AnswerRefused,
        408: AnswerFailed,
    }  # fmt: skip
    if status in named:
        return named[status]
    if 300 <= status < 400:
        return AnswerRedirected
    if 400 <= status < 500:
        return AnswerRejected
    return AnswerFailed if status >= 500 else AnswerUnreadable


def _date_us(text: str | None) -> int | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    # the header is cut to the second: the clock behind it may be almost one further
    return to_us(moment) + SECOND_US - 1 if moment.tzinfo is not None else None
