"""How many calls of judges are left, if the user limits them. Pure."""

from __future__ import annotations


class CallBudget:
    """Shares out a number of calls among the units that run side by side, so that they never make more together."""

    def __init__(self, most: int | None) -> None:
        """`most`: the number of calls for the whole run; None: no limit."""
        self._left = most
        self._granted: dict[str, int] = {}

    def grant(self, unit: str, most_calls: int) -> int | None:
        """Return how many calls a unit may make now, at most as many as it can need. None: no limit."""
        if self._left is None:
            return None
        granted = min(self._left, most_calls)
        self._left -= granted
        self._granted[unit] = granted
        return granted

    def settle(self, unit: str, n_asked: int | None) -> None:
        """Take back the calls that a unit has not made. None: nobody knows how many it made, so all of them count."""
        granted = self._granted.pop(unit, 0)
        if self._left is not None and n_asked is not None:
            self._left += max(0, granted - n_asked)

    def return_all(self, unit: str) -> None:
        """Take back all calls of a unit that never began."""
        self.settle(unit, 0)
