"""What is wrong with a header that no kind of file has, told so that it can be mended. It accepts nothing."""

from collections.abc import Mapping, Sequence

SHOWN = 6  # unknown names that are told; a header may have a million


def header_trouble(header: Sequence[str], kinds: Mapping[str, Sequence[str]]) -> str:
    """A sentence: the kind of file it comes nearest to, what it lacks, and what it has besides."""
    names = set(header)
    kind, wanted = max(kinds.items(), key=lambda each: len(names.intersection(each[1])))
    if not names.intersection(wanted):
        lower = {name.strip().lower() for name in names}
        if not any(lower.intersection(each) for each in kinds.values()):
            return f"its first line is no header; that of {_first(kinds)}"
        kind, wanted = max(kinds.items(), key=lambda each: len(lower.intersection(each[1])))
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in dict.fromkeys(header) if name not in wanted]
    told = [f"missing: {', '.join(missing)}"] if missing else []
    told += [f"unknown: {_few(unknown)}"] if unknown else []
    order = "the same columns in another order or twice"
    return f"nearest kind: {kind}; {'; '.join(told) or order}; its header is {','.join(wanted)}"


def _first(kinds: Mapping[str, Sequence[str]]) -> str:
    kind, wanted = next(iter(kinds.items()))
    return f"{kind} is {','.join(wanted)}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(f"{name!r:.40}" for name in names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
