"""The simulated API's endpoints of participant groups."""

from starlette.routing import Route

from service.sandbox.answers import Answer, invalid, not_found, required
from service.sandbox.endpoint import Ask, Endpoints
from service.sandbox.groups import Group
from service.sandbox.state import SandboxState
from service.sandbox.times import in_list


class GroupsApi:
    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self, endpoints: Endpoints) -> list[Route]:
        at, members = endpoints.at, "/participant-groups/{group_id}/participants/"
        return [
            *at("/participant-groups/", {"GET": self.groups, "POST": self.create}),
            *at("/participant-groups/{group_id}/", {"GET": self.group}),
            *at(members, {"GET": self.members, "POST": self.add, "DELETE": self.remove}),
        ]

    def groups(self, _: Ask) -> Answer:
        return Answer({"results": [group.body() for group in self._state.groups.values()]})

    def create(self, ask: Ask) -> Answer:
        return Answer(self._state.add_group(required(ask.body, "name")).body(), 201)

    def group(self, ask: Ask) -> Answer:
        return Answer(self._found(ask).body())

    def members(self, ask: Ask) -> Answer:
        return self._listed(self._found(ask))

    def add(self, ask: Ask) -> Answer:
        """Add participants; those that are members already stay as they are."""
        group = self._found(ask)
        for participant in _participants(ask):
            group.members.setdefault(participant, self._state.clock())
        return self._listed(group)

    def remove(self, ask: Ask) -> Answer:
        """Remove participants; those that are no members are ignored."""
        group = self._found(ask)
        for participant in _participants(ask):
            group.members.pop(participant, None)
        return self._listed(group)

    def _found(self, ask: Ask) -> Group:
        group = self._state.groups.get(ask.path["group_id"])
        if group is None:
            raise not_found(f"Participant group {ask.path['group_id']}")
        return group

    def _listed(self, group: Group) -> Answer:
        rows = [{"participant_id": one, "datetime_created": in_list(at)} for one, at in group.members.items()]
        return Answer({"results": rows})


def _participants(ask: Ask) -> list[str]:
    given = ask.body.get("participant_ids")
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise invalid("participant_ids", "A list of participant ids is required.")
    return given
