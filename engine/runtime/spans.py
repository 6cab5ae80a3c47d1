"""When figures may change: spans of instants, joined where several changes meet. Plain values, no imports."""

from collections.abc import Mapping

Span = tuple[int | None, int | None]  # the first and the last instant; None: there is no bound
Touched = Mapping[str, Span]  # by asset: where its values may change


def joined_spans(one: Span, other: Span) -> Span:
    """The span from the start of the first to the end of the last."""
    firsts, lasts = zip(one, other, strict=True)
    return (
        None if None in firsts else min(first for first in firsts if first is not None),
        None if None in lasts else max(last for last in lasts if last is not None),
    )
