"""Which plan a stream has: by the service's defaults, by the rules that match, and by what was set for itself.

Rules:

1. Without rules a stream keeps the plan that it was made with, or that was set for it.
2. With rules their word holds for every stream, whenever it was made: one that is loaded, or is in memory when the
   rules change, is configured anew where they say something else. Statistics that go on, go on.
3. What was set for a stream itself is kept apart, as `Plan.own`. Streams of before it was kept have as their own what
   differs from the defaults.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from streamnorm.engine.configuration.config import configuration, to_json
from streamnorm.engine.configuration.plan import Plan, of_layers
from streamnorm.engine.configuration.rules import ALL, Layer, RuleIndex, Rules, overlay, split_features
from streamnorm.engine.state.layout import UPDATED
from streamnorm.engine.streams import lifecycle
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Streams whose plan is remembered: as many as are resident by default.
REMEMBERED = 100_000
#: Plans that rules alone make, which are remembered by the rules that make them.
RULED_PLANS = 4096


class Rulebook:
    """The rules of a service, over its defaults; immutable. Without `rules` streams keep the plans they have."""

    def __init__(self, default_plan: Plan, rules: Rules | None = None) -> None:
        self.default_plan = default_plan
        self.rules = rules
        pristine = to_json(configuration({"method": default_plan.config.method}, {}))
        said = to_json(default_plan.config)
        kept = {"method", *(key for key, value in said.items() if value is not None and value != pristine.get(key))}
        #: parameters that the service's settings say
        self.defaults = {key: said[key] for key in said if key in kept}
        self._index = RuleIndex(rules.rules if rules is not None else ())
        self._wanted = functools.lru_cache(maxsize=REMEMBERED)(self._plan_of_known)
        self._ruled = functools.lru_cache(maxsize=RULED_PLANS)(self._plan_of_rules)

    def __reduce__(self) -> tuple[type[Rulebook], tuple[Plan, Rules | None]]:
        """Pickle as what it was made of: the plans of streams are worked out anew."""
        return Rulebook, (self.default_plan, self.rules)

    def plan(self, stream_id: str, own: Sequence[Layer] = ()) -> Plan:
        """Return the plan of a stream for which `own` is set.

        Raises:
            InvalidConfiguration: what the rules say does not go together.

        """
        places = self._index.find(stream_id)
        return self._plan_of_rules(places, own) if own else self._ruled(places)

    def configured(self, stream_id: str, config: Mapping[str, Any]) -> Plan:
        """Check what is to be set for a stream, a flat configuration and its `features`, and return its plan.

        Raises:
            InvalidConfiguration: naming every fault.

        """
        return self.plan(stream_id, split_features(config, self.defaults))

    def new(self, stream_id: str) -> Stream:
        """Return a stream that has seen nothing.

        Raises:
            InvalidConfiguration: what the rules say of it does not go together.

        """
        return Stream(self.default_plan if self.rules is None else self._wanted(stream_id, None))

    def applied(self, stream_id: str, stream: Stream) -> tuple[Stream, str | None]:
        """Return a stream as the rules want it, a draft where something changed; and why statistics restarted, or not.

        Where rules do not go together for the stream, it stays as it is, and that is told.
        """
        if self.rules is None:
            return stream, None
        try:
            plan = self._wanted(stream_id, stream.plan)
            if plan.key == stream.plan.key:
                return stream, None
            draft = stream.draft()
            return draft, lifecycle.reconfigure(draft, plan, draft.state[UPDATED])
        except InvalidConfiguration as error:
            return stream, f"stays as it was: {error}"

    def _plan_of_known(self, stream_id: str, plan: Plan | None) -> Plan:
        return self.plan(stream_id, () if plan is None else self.own(plan))

    def _plan_of_rules(self, places: tuple[int, ...], own: Sequence[Layer] = ()) -> Plan:
        """Return the plan that the rules at these places make, with what is set for the stream itself."""
        above = [] if self.rules is None else [self.rules.rules[place].layer for place in places]
        if not above and not own:
            return self.default_plan
        return of_layers([Layer(ALL, self.defaults), *above, *own], tuple(own) or None)

    def own(self, plan: Plan) -> Sequence[Layer]:
        """Return what was set for a stream itself, of which this is the plan."""
        if plan.own is not None or plan.layers:
            return plan.own or ()
        usual = to_json(self.default_plan.config)
        said = {key: value for key, value in to_json(plan.config).items() if value is not None}
        differs = {key: value for key, value in said.items() if value != usual.get(key)}
        return (Layer(ALL, overlay([differs])),) if differs else ()
