"""Participant groups."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Group:
    """``members`` are participants' ids, with the time at which each was added."""

    id: str
    name: str
    workspace_id: str
    members: dict[str, datetime] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "workspace_id": self.workspace_id,
            "participant_count": len(self.members),
        }
