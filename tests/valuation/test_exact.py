"""Exact columns and sums against Python's own integers."""

from itertools import starmap

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.money import SCALED_MAX
from engine.valuation.exact import (
    DECIMAL,
    Sums,
    decimals,
    from_words,
    items,
    pairs,
    scaled_ints,
    wide_value,
    words,
    zeroed_words,
)

SCALED = st.one_of(
    st.integers(-SCALED_MAX, SCALED_MAX),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**64, -(2**64), 2**104, -(2**104) - 1]),
    st.sampled_from([SCALED_MAX, -SCALED_MAX]),
)


def in_range(scaled: int) -> int | None:
    return scaled if abs(scaled) <= SCALED_MAX else None


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), SCALED, st.integers(-(10**40), 10**40))))
def test_decimals__there_and_back__null_out_of_range(scaled: list[int | None]) -> None:
    column = decimals(scaled)
    assert column.dtype == DECIMAL
    assert scaled_ints(column) == [None if value is None else in_range(value) for value in scaled]


@settings(deadline=None)
@given(st.lists(st.tuples(SCALED, SCALED), min_size=1))
def test_product_of_two__is_exact_and_half_even_or_raises(pairs: list[tuple[int, int]]) -> None:
    """What the valuation rests on: the library's product of two columns."""
    left, right = decimals([a for a, _ in pairs]), decimals([b for _, b in pairs])
    exact = list(starmap(half_even_product, pairs))
    if None in exact:
        with pytest.raises(pl.exceptions.ComputeError):
            left * right
    else:
        assert scaled_ints(left * right) == exact


def half_even_product(left: int, right: int) -> int | None:
    whole, rest = divmod(abs(left * right), 10**18)
    up = rest * 2 > 10**18 or (rest * 2 == 10**18 and whole % 2)
    value = (whole + bool(up)) * (-1 if (left < 0) != (right < 0) else 1)
    return in_range(value)


@settings(deadline=None)
@given(SCALED, SCALED)
def test_wide_value__with_rate_one__is_the_product(left: int, right: int) -> None:
    assert wide_value(left, right, 10**18) == half_even_product(left, right)
    assert wide_value(left, None, 10**18) is None


ROUNDS = st.lists(
    st.integers(0, 3).flatmap(
        lambda start: st.tuples(st.just(start), st.lists(SCALED, min_size=0, max_size=6 - start))
    ),
    max_size=12,
)


@settings(deadline=None)
@given(ROUNDS)
def test_sums__are_those_of_integers(rounds: list[tuple[int, list[int]]]) -> None:
    sums, expected = Sums(6), [0] * 6
    for start, values in rounds:
        sums.add(start, words(decimals(values)))
        for place, value in enumerate(values, start):
            expected[place] += value
    assert [sums.scaled(slot) for slot in range(6)] == expected
    assert scaled_ints(sums.column()) == [in_range(value) for value in expected]
    folded = [expected[place] + expected[place + 3] for place in range(3)]
    assert scaled_ints(sums.folded(3).column()) == [in_range(value) for value in folded]


def test_sums__many_of_the_largest_that_are_not_kept_apart() -> None:
    most = (2**40 - 1) * 2**64 + 2**64 - 1
    sums, column = Sums(2), words(decimals([most, -most]))
    for _ in range(3000):
        sums.add(0, column)
    assert [sums.scaled(0), sums.scaled(1)] == [3000 * most, -3000 * most]


def test_sums__beyond_128_bits__are_null_and_never_wrap_to_nothing() -> None:
    sums = Sums(1)
    for _ in range(8):
        sums.add(0, words(decimals([2**125])))
    assert sums.column().to_list() == [None]
    assert sums.scaled(0) == 2**128


def test_sums__a_sum_that_left_the_range_and_came_back() -> None:
    sums = Sums(1)
    for value in (2**125, 2**125, 2**125, 2**125, -(2**125), -(2**125), -(2**125)):
        sums.add(0, words(decimals([value])))
    assert scaled_ints(sums.column()) == [2**125]


def test_sums__without_slots() -> None:
    assert Sums(0).column().to_list() == []
    assert Sums(0).folded(0).column().to_list() == []
    assert Sums(0).folded(2).column().to_list() == [0, 0]


def test_words__of_a_slice_and_of_chunks() -> None:
    values = decimals([1, 2, 3, 4, 5])
    assert words(values[1:3])[:, 0].tolist() == [2, 3]
    assert words(pl.concat([values[3:], values[:1]], rechunk=False))[:, 0].tolist() == [4, 5, 1]
    assert words(values[:0]).shape == (0, 2)


def test_zeroed_words__nulls_are_0_and_told() -> None:
    known, bits = zeroed_words(decimals([-1, None, 3]))
    assert known.tolist() == [True, False, True]
    assert scaled_ints(from_words(bits)) == [-1, 0, 3]


@settings(deadline=None)
@given(st.lists(SCALED, min_size=1))
def test_items__repeat_and_join_without_a_changed_bit(scaled: list[int]) -> None:
    kept = items(words(decimals(scaled)))
    twice = pairs(np.concatenate([np.repeat(kept, 2), kept]))
    assert scaled_ints(from_words(twice)) == [value for value in scaled for _ in range(2)] + scaled
