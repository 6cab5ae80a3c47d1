"""What the providers of prices over HTTP share: their names for assets, looked at before any request has one.

It makes no request: what is asked for, and how an answer is read, is each provider's own.
"""

import re
from collections.abc import Mapping

from engine.providers.protocol import Instrument, Kind, check_id
from engine.providers.transport import Caller, ProviderState


class Priced:
    """`ids`: asset -> the provider's name for it and the currency it is quoted in.

    `names`: what such a name looks like, called `what`. ValueError for a bad one.
    """

    def __init__(
        self, ids: Mapping[str, Instrument], names: re.Pattern[str], what: str, source: str, caller: Caller
    ) -> None:
        for asset, instrument in ids.items():
            check_id(asset)
            check_id(instrument.quote)
            if names.fullmatch(instrument.symbol) is None:
                raise ValueError(f"not a {what} of {caller.name}: {instrument.symbol!r}")
        self._ids, self._source = dict(ids), source
        self.caller = caller

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether the provider has a name for the asset."""
        return kind == "price" and name in self._ids

    def state(self) -> ProviderState:
        """What a panel shows."""
        return self.caller.state()
