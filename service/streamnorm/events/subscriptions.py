"""The open subscriptions, indexed by what they want: a reading meets only those that may be of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamnorm.events.buffers import Subscription


class Subscriptions(list["Subscription"]):
    """The subscriptions that receive events: some name streams, the others want all that begin with their prefix."""

    def __init__(self) -> None:
        super().__init__()
        self._named: dict[str, list[Subscription]] = {}
        self._prefixed: dict[str, list[Subscription]] = {}
        #: the lengths of the prefixes, which are few
        self._lengths: tuple[int, ...] = ()

    def add(self, subscription: Subscription) -> None:
        """Add a subscription, whose streams and prefix stay what they are."""
        self.append(subscription)
        index, keys = self._index(subscription)
        for key in keys:
            index.setdefault(key, []).append(subscription)
        self._lengths = tuple({len(prefix) for prefix in self._prefixed})

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription.

        Raises:
            ValueError: it is not among them.

        """
        super().remove(subscription)
        index, keys = self._index(subscription)
        for key in keys:
            index[key].remove(subscription)
            if not index[key]:
                del index[key]
        self._lengths = tuple({len(prefix) for prefix in self._prefixed})

    def of(self, stream_id: str) -> list[Subscription]:
        """Return the subscriptions that want the events of a stream."""
        maybe = [*self._named.get(stream_id, ())]
        for length in self._lengths:
            maybe += self._prefixed.get(stream_id[:length], ())
        return [subscription for subscription in maybe if subscription.wants(stream_id)]

    def _index(self, subscription: Subscription) -> tuple[dict[str, list[Subscription]], Iterable[str]]:
        """Return where a subscription is found, and by which keys."""
        if subscription.streams is None:
            return self._prefixed, (subscription.prefix,)
        return self._named, subscription.streams
