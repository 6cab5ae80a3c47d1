"""A POST of an alert to a web address: one JSON document, no redirect, no proxy.

The key of the address is read from the environment or a file named there, and stands in no text.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

import httpx2

from engine.domain.instants import SECOND_US
from engine.errors import UsageError
from engine.providers.limits import retry_after_us
from engine.providers.secrets import Secret, strike_text
from engine.runtime.alerts.courier import Message, NotDelivered

ANSWER_S = 10.0  # for an address to take a message
KEY_VARIABLE = "NAVDECK_ALERTS_KEY"
KEY_PLACE = "{key}"  # in an address: where its key belongs


def webhook_key(environment: Mapping[str, str] = os.environ) -> Secret | None:
    """The key of the web address. UsageError, without the key, if it is none or its file cannot be read."""
    try:
        if KEY_VARIABLE in environment:
            return Secret(environment[KEY_VARIABLE])
        if f"{KEY_VARIABLE}_FILE" in environment:
            return Secret(Path(environment[f"{KEY_VARIABLE}_FILE"]).read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{KEY_VARIABLE}: {why}.", "Mend the variable or the file that it names.") from None
    return None


async def post(address: str, key: Secret | None, message: Message, answer_s: float = ANSWER_S) -> None:
    """POSTs the message; `{key}` in the address is the key's place, otherwise it is a bearer token.

    NotDelivered unless a 2xx comes in time. No redirect is followed, no proxy or cookie taken.
    """
    headers = {"content-type": "application/json"}
    if key is not None and KEY_PLACE not in address:
        headers["authorization"] = f"Bearer {key.reveal()}"
    target = address.replace(KEY_PLACE, key.reveal()) if key is not None else address
    try:
        async with (
            asyncio.timeout(answer_s),
            httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=answer_s) as client,
            client.stream("POST", target, content=json.dumps(message).encode(), headers=headers) as answer,
        ):
            status, wait = answer.status_code, answer.headers.get("retry-after")
    except (TimeoutError, httpx2.TimeoutException):
        raise NotDelivered(f"no answer within {answer_s:g} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        why = strike_text(str(error), [key] if key else []) or type(error).__name__
        raise NotDelivered(f"no connection: {why}") from None
    if not 200 <= status < 300:
        wait_us = retry_after_us(wait, 0) if status in (429, 503) and str(wait).isdigit() else None
        raise NotDelivered(f"it answered {status}", None if wait_us is None else wait_us / SECOND_US)
