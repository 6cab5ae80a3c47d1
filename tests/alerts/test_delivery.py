"""Alerts leave the house at least once: real commands, a real web server, and the ways in which they fail."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from engine.domain.instants import DAY_US, SECOND_US
from engine.errors import UsageError
from engine.providers.secrets import Secret
from engine.runtime.alerts import courier
from engine.runtime.alerts.book import AlertBook
from engine.runtime.alerts.courier import HOOK, WEBHOOK, Courier, Message, NotDelivered, Send, World
from engine.runtime.alerts.hook import run_hook
from engine.runtime.alerts.rules import Reading, Rule
from engine.runtime.alerts.webhook import KEY_VARIABLE, post, webhook_key
from tests.alerts.conftest import Desk
from tests.runtime.deck import NOW

RULES = {"Y": Rule("Y")}
BAD, WELL = {"Y": [Reading(1, "y is bad", "mend y")]}, {"Y": []}
CANARY = "canary-0123456789"


@dataclass
class Time:
    """A world whose time passes by sleeping alone."""

    passed_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed_s += seconds

    def world(self) -> World:
        return World(
            lambda: NOW + round(self.passed_s * SECOND_US), lambda: self.passed_s, self.sleep, lambda: 1.0
        )


def round_of(
    desk: Desk, send: Send, *looks: dict[str, list[Reading]], time: Time | None = None, bit: int = HOOK
) -> bool:
    """Judges looks that owe a delivery, then delivers; whether all was dealt with."""

    async def act(book: AlertBook) -> bool:
        for second, looked in enumerate(looks):
            await book.look(looked, RULES, NOW + second * SECOND_US, owed=bit)
        one = Courier("hook", bit, book, "/books", desk._log, (time or Time()).world())
        return await one.deliver_all(send)

    return desk.within(act)


def noting(taken: list[str], fails: int = 0, wait_s: float | None = None) -> Send:
    """A receiver that refuses so many times before it takes anything."""
    left = [fails]

    async def send(message: Message) -> None:
        if left[0]:
            left[0] -= 1
            raise NotDelivered("not now", wait_s)
        taken.append(f"{message['id']} {message['event']}")

    return send


def test_delivery__raised_and_cleared__in_order_and_not_again_after_a_restart(desk: Desk) -> None:
    taken: list[str] = []

    assert round_of(desk, noting(taken), BAD, WELL, BAD)
    assert round_of(desk, noting(taken))

    assert taken == ["1 raised", "1 cleared", "2 raised"]


def test_delivery__receiver_is_down__pauses_grow_within_the_budget_then_it_rests(desk: Desk) -> None:
    taken: list[str] = []
    time = Time()

    assert not round_of(desk, noting(taken, fails=99), BAD, time=time)

    assert taken == []
    assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0]
    assert sum(time.slept) <= courier.BUDGET_S
    assert desk.lines[-1] == "bad alert_not_delivered hook: alert 1 raised: not now"


def test_delivery__restart_before_it_was_taken__is_delivered_then(desk: Desk) -> None:
    taken: list[str] = []
    assert not round_of(desk, noting([], fails=99), BAD)

    assert round_of(desk, noting(taken, fails=2))

    assert taken == ["1 raised"]
    assert desk.told == [("alert_raised", 1)]


def test_delivery__receiver_says_when__is_left_alone_so_long(desk: Desk) -> None:
    time = Time()

    assert round_of(desk, noting([], fails=1, wait_s=30.0), BAD, time=time)

    assert time.slept == [30.0]


def test_delivery__never_taken_for_a_day__is_given_up_and_told(desk: Desk) -> None:
    time = Time(passed_s=DAY_US / SECOND_US + 1)

    assert round_of(desk, noting([], fails=99), BAD, time=time)

    assert "alert_given_up" in desk.lines[-1]
    taken: list[str] = []
    assert round_of(desk, noting(taken))
    assert taken == []


def test_delivery__one_way_is_down__the_other_is_not_held_up(desk: Desk) -> None:
    taken: list[str] = []
    assert not round_of(desk, noting([], fails=99), BAD, bit=HOOK | WEBHOOK)

    async def act(book: AlertBook) -> bool:
        return await Courier("webhook", WEBHOOK, book, "", desk._log, Time().world()).deliver_all(
            noting(taken)
        )

    assert desk.within(act)
    assert taken == ["1 raised"]


def test_delivery__fault_that_nobody_thought_of__is_told_and_the_next_round_delivers(desk: Desk) -> None:
    taken: list[str] = []
    faults = [RuntimeError("a bad day")]

    async def act(book: AlertBook) -> None:
        asked, done = asyncio.Event(), asyncio.Event()

        async def send(message: Message) -> None:
            if faults:
                asked.set()
                raise faults.pop()
            await noting(taken)(message)
            done.set()

        await book.look(BAD, RULES, NOW, owed=HOOK)
        one = Courier("hook", HOOK, book, "/books", desk._log, Time().world())
        working = asyncio.create_task(one.run(lambda: send))
        await asked.wait()
        book.news[0].set()
        await done.wait()
        working.cancel()

    desk.within(act)
    assert taken == ["1 raised"]
    assert "bad alert_not_delivered hook: a bad day" in desk.lines


# -- a real command -----------------------------------------------------------------------------------


def hook(script: str, message: Message, folder: Path) -> None:
    asyncio.run(run_hook([sys.executable, "-c", script], message, folder))


def test_hook__gets_one_json_document_on_its_input_and_no_shell(tmp_path: Path) -> None:
    script = "import sys; open('got', 'w').write(sys.stdin.read())"

    hook(script, {"event": "raised", "text": "$(touch x); `rm`\x1b[0m"}, tmp_path)

    assert json.loads((tmp_path / "got").read_text())["text"] == "$(touch x); `rm`\x1b[0m"
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_hook__does_not_read_its_input__is_no_failure(tmp_path: Path) -> None:
    hook("pass", {"text": "x" * 300_000}, tmp_path)


def test_hook__fails__says_what_it_said_in_one_line(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('no\\nroute\\x1b[31m' + 'y' * 9999); sys.exit(3)"

    with pytest.raises(NotDelivered, match=r"^the command ended with 3: no route \[31my{1,300}$"):
        hook(script, {}, tmp_path)


def test_hook__hangs__is_ended_with_what_it_started(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 60 & echo $! > child; wait"]

    with pytest.raises(NotDelivered, match="did not end within"):
        asyncio.run(run_hook(command, {}, tmp_path, 3.0))

    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while _is_alive(child) and time.monotonic() < until:  # a signal takes its moment
        time.sleep(0.01)
    assert not _is_alive(child)


def _is_alive(process: int) -> bool:
    """Whether a process still works; one that nobody has buried yet does not."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return told.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_hook__is_not_there__is_told(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="cannot be started"):
        asyncio.run(run_hook(["./no-such-command"], {}, tmp_path))


def test_hook__does_not_see_our_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    monkeypatch.setenv("NAVDECK_HOME", "/books")

    hook("import os; open('got', 'w').write(repr(dict(os.environ)))", {}, tmp_path)

    got = (tmp_path / "got").read_text()
    assert CANARY not in got
    assert "/books" in got


# -- a real web address -------------------------------------------------------------------------------


class Receiver:
    """A web server that answers as told: a status, headers, or `stall` (it never answers)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.stalls = False
        self.released = Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.seen.append((self.path, headers, body))
                if receiver.stalls:
                    receiver.released.wait(20)
                    return
                status, extra = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in (extra | {"Content-Length": "0"}).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.root = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def posting(root: str, key: Secret | None = None, answer_s: float = 10.0) -> Send:
    async def send(message: Message) -> None:
        await post(root, key, message, answer_s)

    return send


def test_webhook__takes_it__gets_json_once_with_the_key_as_bearer(desk: Desk, receiver: Receiver) -> None:
    assert round_of(desk, posting(f"{receiver.root}/in", Secret(CANARY)), BAD)

    ((path, headers, body),) = receiver.seen
    assert path == "/in"
    assert headers["authorization"] == f"Bearer {CANARY}"
    told = json.loads(body)
    assert (told["event"], told["id"], told["code"], told["text"]) == ("raised", 1, "Y", "y is bad")


def test_webhook__key_has_a_place_in_the_address__goes_there_alone(desk: Desk, receiver: Receiver) -> None:
    assert round_of(desk, posting(f"{receiver.root}/services/{{key}}", Secret(CANARY)), BAD)

    ((path, headers, _),) = receiver.seen
    assert path == f"/services/{CANARY}"
    assert "authorization" not in headers


def test_webhook__429_then_503_then_taken__waits_as_asked(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "7"}), (503, {}), (500, {}), (204, {})]
    time = Time()

    assert round_of(desk, posting(receiver.root), BAD, time=time)

    assert time.slept == [7.0, 2.0, 4.0]
    assert len(receiver.seen) == 4


@pytest.mark.parametrize("status", [302, 404, 500])
def test_webhook__refuses__nothing_is_lost_and_no_redirect_is_followed(
    desk: Desk, receiver: Receiver, status: int
) -> None:
    receiver.answers = [(status, {"Location": f"{receiver.root}/elsewhere"})] * 20

    assert not round_of(desk, posting(receiver.root), BAD)

    assert {path for path, _, _ in receiver.seen} == {"/"}
    assert f"it answered {status}" in desk.lines[-1]
    receiver.answers = []
    assert round_of(desk, posting(receiver.root))


def test_webhook__never_answers__is_given_its_time_and_no_more(desk: Desk, receiver: Receiver) -> None:
    receiver.stalls = True

    with pytest.raises(NotDelivered, match=r"no answer within 0\.3 s"):
        asyncio.run(posting(receiver.root, answer_s=0.3)({}))


def test_webhook__nobody_listens__says_so_without_the_key() -> None:
    closed = Receiver()
    closed.close()

    with pytest.raises(NotDelivered) as told:
        asyncio.run(posting(f"{closed.root}/{{key}}", Secret(CANARY))({}))

    assert "no connection" in str(told.value)
    assert CANARY not in str(told.value)


def test_webhook_key__unfit_or_unreadable__is_told_without_it(tmp_path: Path) -> None:
    for environment in ({KEY_VARIABLE: f"{CANARY} blank"}, {f"{KEY_VARIABLE}_FILE": str(tmp_path / "none")}):
        with pytest.raises(UsageError) as told:
            webhook_key(environment)
        assert CANARY not in str(told.value)

    (tmp_path / "key").write_text(f"{CANARY}\n")
    found = webhook_key({f"{KEY_VARIABLE}_FILE": str(tmp_path / "key")})
    assert found is not None
    assert found.reveal() == CANARY
