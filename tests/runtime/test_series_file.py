"""`metrics --series`: a file of one's own, read strictly, measured without a home."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.runtime import series_file
from engine.runtime.series_file import series_metrics

VALUATIONS = [
    {"t": "2024-01-01T00:00:00Z", "nav": 100},
    {"t": "2024-01-02T00:00:00Z", "nav": "165"},
    {"t": "2024-01-03T00:00:00Z", "nav": None},
    {"t": "2024-01-04T00:00:00Z", "nav": 160.0},
]
FLOWS = [{"t": "2024-01-02T12:00:00Z", "amount": "-20"}, {"t": "2024-01-01T12:00:00Z", "amount": 50}]


def written(folder: Path, document: Any) -> Path:
    path = folder / "series.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def test_series__numbers_and_texts_and_holes__flows_in_any_order(tmp_path: Path) -> None:
    path = written(tmp_path, {"valuations": VALUATIONS, "flows": FLOWS, "flow_timing": "in bucket"})
    found = series_metrics(path, {"points": True})
    assert found["twr"] == pytest.approx(0.21)
    assert (found["resolution"], found["flow_timing"]) == ("1d", "in bucket")
    assert [point["index"] is None for point in found["points"]] == [False, False, True, False]
    assert "points" not in series_metrics(path, {})


def test_series__keys_of_the_contract_are_there_even_if_empty(tmp_path: Path) -> None:
    found = series_metrics(written(tmp_path, {"valuations": []}), {})
    assert {"twr", "max_drawdown", "volatility", "coverage", "reason"} <= set(found)
    assert (found["twr"], found["reason"], found["coverage"]) == (None, "NO_VALUATION", 0.0)


@pytest.mark.parametrize(
    ("timing", "twr"),
    [("in bucket", 0.1), ("start of period", 0.1), ("end of period", 0.15), ("exact", 15 / 125)],
)
def test_series__follows_its_flow_timing(tmp_path: Path, timing: str, twr: float) -> None:
    document = {"valuations": VALUATIONS[:2], "flows": FLOWS[1:], "flow_timing": timing}
    assert series_metrics(written(tmp_path, document), {})["twr"] == pytest.approx(twr)


def test_series__range_and_period(tmp_path: Path) -> None:
    path = written(tmp_path, {"valuations": [
        {"t": f"2024-01-01T{hour:02d}:00:00Z", "nav": nav} for hour, nav in enumerate((100, 110, 99, 101))
    ]})  # fmt: skip
    found = series_metrics(path, {"resolution": "1h", "from": "2024-01-01T01:00:00Z", "to": None})
    assert (found["from"], found["periods"]) == ("2024-01-01T01:00:00Z", 2)
    assert found["volatility_detail"]["periods_per_year"] == 8_760
    assert found["best"]["period"] == "1h"


def test_series__a_flow_of_unknown_size__breaks_the_chain(tmp_path: Path) -> None:
    document = {"valuations": VALUATIONS[:2], "flows": [{"t": "2024-01-01T12:00:00Z", "amount": None}]}
    found = series_metrics(written(tmp_path, document), {})
    assert (found["twr"], found["reason"]) == (None, "FLOW_UNPRICED")


def valued(*navs: Any) -> dict[str, Any]:
    return {"valuations": [{"t": f"2024-01-{day:02d}", "nav": nav} for day, nav in enumerate(navs, 1)]}


BAD: dict[str, Any] = {
    "no JSON": "{",
    "not UTF-8": '{"valuations": []}\udcff',
    "deeply nested": "[" * 100_000,
    "a list": [],
    "no valuations": {"flows": []},
    "an unknown part": {"valuations": [], "flow-timing": "exact"},
    "a name twice": '{"valuations": [], "valuations": []}',
    "valuations no list": {"valuations": {}},
    "a valuation no object": {"valuations": [1]},
    "a valuation with more": {"valuations": [{"t": "2024-01-01", "nav": 1, "x": 2}]},
    "a flow with nav": {"valuations": [], "flows": [{"t": "2024-01-01", "nav": 1}]},
    "t a number": {"valuations": [{"t": 5, "nav": 1}]},
    "t no instant": {"valuations": [{"t": "2024-01-01T25:00:00Z", "nav": 1}]},
    "t of another zone": {"valuations": [{"t": "2024-01-01T05:00:00+02:00", "nav": 1}]},
    "unsorted": {"valuations": [{"t": "2024-01-02", "nav": 1}, {"t": "2024-01-01", "nav": 1}]},
    "twice": {"valuations": [{"t": "2024-01-01", "nav": 1}, {"t": "2024-01-01T00:00:00Z", "nav": 1}]},
    "NaN": '{"valuations": [{"t": "2024-01-01", "nav": NaN}]}',
    "Infinity": '{"valuations": [{"t": "2024-01-01", "nav": -Infinity}]}',
    "beyond a float": '{"valuations": [{"t": "2024-01-01", "nav": 1e999}]}',
    "an integer beyond a float": '{"valuations": [{"t": "2024-01-01", "nav": 1' + "0" * 400 + "}]}",
    "true": valued(True),
    "text no decimal": valued("1e5"),
    "text NaN": valued("NaN"),
    "an amount of text": {"valuations": [], "flows": [{"t": "2024-01-01", "amount": "a lot"}]},
    "unknown timing": {"valuations": [], "flow_timing": "noon"},
    "timing a list": {"valuations": [], "flow_timing": ["exact"]},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_malformed__is_refused_with_a_hint(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "bad.json"
    text = BAD[bad] if isinstance(BAD[bad], str) else json.dumps(BAD[bad])
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        series_metrics(path, {})
    assert caught.value.hint
    assert len(str(caught.value)) < 400


def test_unsorted__names_the_entry(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"valuations\[1\]"):
        series_metrics(written(tmp_path, BAD["unsorted"]), {})


def test_missing_or_folder__is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(UsageError, match="no file"):
            series_metrics(path, {})


def test_too_large__is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, valued(1, 2))
    monkeypatch.setattr(series_file, "SERIES_BYTES_MAX", path.stat().st_size)
    assert series_metrics(path, {})["twr"] == 1.0
    monkeypatch.setattr(series_file, "SERIES_BYTES_MAX", path.stat().st_size - 1)
    with pytest.raises(UsageError, match="larger than"):
        series_metrics(path, {})
