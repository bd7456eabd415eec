"""Reads ``limits``; what is absent keeps its default."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from service.rules.format.document import Node, Scalar
from service.rules.limits import Limits, RejectLimit, ReturnLimit, RewardLimit
from service.rules.reading import Reader, join, nodes

LIMITS = "limits"
SHARE = re.compile("([0-9]{1,3}(?:[.][0-9]{1,9})?) ?%")
OF_MONEY = " of minor units (50000 is 500.00)"


@dataclass(frozen=True, slots=True)
class LimitReader:
    reader: Reader

    def read(self, node: Node) -> Limits:
        found = nodes(self.reader.fields(node, LIMITS, ("reject", "request_return", "approve")) or {})
        return Limits(self._reject(found), self._request_return(found), self._approve(found))

    def _reject(self, limits: Mapping[str, Node]) -> RejectLimit:
        default = RejectLimit()
        found = self._fields(limits, "reject", ("share", "of_last", "per_day"))
        share, of_last, per_day = default.share, default.of_last, default.per_day
        if "share" in found:
            share = self._share(found["share"], "limits.reject.share")
        if "of_last" in found:
            of_last = self.reader.whole(found["of_last"], "limits.reject.of_last", 1) or of_last
        if "per_day" in found:
            per_day = self.reader.whole(found["per_day"], "limits.reject.per_day", 0) or 0
        return RejectLimit(share, of_last, per_day)

    def _request_return(self, limits: Mapping[str, Node]) -> ReturnLimit:
        node = self._fields(limits, "request_return", ("per_day",)).get("per_day")
        if node is None:
            return ReturnLimit()
        return ReturnLimit(self.reader.whole(node, "limits.request_return.per_day", 0) or 0)

    def _approve(self, limits: Mapping[str, Node]) -> RewardLimit:
        node = self._fields(limits, "approve", ("reward_per_day",)).get("reward_per_day")
        if node is None:
            return RewardLimit()
        return RewardLimit(self.reader.whole(node, "limits.approve.reward_per_day", 0, OF_MONEY))

    def _fields(self, limits: Mapping[str, Node], key: str, known: tuple[str, ...]) -> dict[str, Node]:
        if key not in limits:
            return {}
        return nodes(self.reader.fields(limits[key], join(LIMITS, key), known) or {})

    def _share(self, node: Node, path: str) -> Fraction:
        found = SHARE.fullmatch(node.value) if isinstance(node, Scalar) else None
        share = Fraction(found[1]) / 100 if found else None
        if share is None or share > 1:
            self.reader.wrong(node, path, "must be a share from 0% to 100%, with the sign: `10%`")
            return Fraction(0)
        return share
