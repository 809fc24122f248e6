"""Nobody reaches more than they held: by no sequence of allowed calls, alone or together."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from deepspace.accounts.granting import (
    Actor,
    may_give_place,
    may_give_project_role,
    may_give_words,
    may_join_to_team,
    with_always,
)
from deepspace.accounts.permissions import PERMISSIONS, PROJECT_ROLE_PERMISSIONS, ROLE_PERMISSIONS
from deepspace.accounts.principal import Membership, ProjectPlace, membership
from deepspace.kit.errors import NotFound, PermissionDenied

PROJECTS = [ProjectPlace(UUID(int=number), number % 2 == 0) for number in range(4)]
TEAMS, OWN_ROLES, PEOPLE = range(2), range(4), range(6)
COALITION = range(3)
"""Those who act, and may plot together. The others are only acted upon."""

WORDS = st.frozensets(st.sampled_from(list(PERMISSIONS)), max_size=8).map(
    lambda words: frozenset(with_always(words))
)
BUILT_IN = st.sampled_from(["admin", "member", "guest"])
ROLE = st.one_of(BUILT_IN, st.sampled_from(OWN_ROLES))
PROJECT_ROLE = st.sampled_from(list(PROJECT_ROLE_PERMISSIONS))
PROJECT = st.sampled_from(PROJECTS)
SUBJECT = st.tuples(st.just("user"), st.sampled_from(PEOPLE)) | st.tuples(
    st.just("team"), st.sampled_from(TEAMS)
)
WHO = st.sampled_from(PEOPLE)
ACTOR = st.sampled_from(COALITION)
Right = tuple[object, str]


class Plot(RuleBasedStateMachine):
    """An organisation in memory whose members do whatever the rules of granting.py allow."""

    def __init__(self) -> None:
        super().__init__()
        self.role: dict[int, str | int] = {}
        self.words: dict[int, frozenset[str]] = {}
        self.team: dict[int, set[int]] = {}
        self.part: dict[tuple[UUID, tuple[str, int]], str] = {}
        self.bound: dict[int, set[Right]] = {}

    @initialize(
        roles=st.tuples(
            *(st.one_of(st.just("owner"), ROLE) if one not in COALITION else ROLE for one in PEOPLE)
        ),
        words=st.tuples(*(WORDS for _ in OWN_ROLES)),
        teams=st.tuples(*(st.frozensets(WHO) for _ in TEAMS)),
        parts=st.dictionaries(st.tuples(PROJECT.map(lambda project: project.id), SUBJECT), PROJECT_ROLE),
    )
    def begin(
        self,
        roles: tuple[str | int, ...],
        words: tuple[frozenset[str], ...],
        teams: tuple[frozenset[int], ...],
        parts: dict[tuple[UUID, tuple[str, int]], str],
    ) -> None:
        self.role = dict(enumerate(roles))
        self.words = dict(enumerate(words))
        self.team = {number: set(members) for number, members in enumerate(teams)}
        self.part = dict(parts)
        together = set[Right]().union(*(self.rights(person) for person in COALITION))
        self.bound = {person: self.rights(person) | together for person in PEOPLE}

    def place_of(self, role: str | int) -> Membership:
        """Return what a role gives in the organisation."""
        return membership(role) if isinstance(role, str) else membership("custom", self.words[role])

    def place(self, person: int) -> Membership:
        """Return somebody's whole place."""
        given: dict[UUID, set[str]] = {}
        for (project, (kind, number)), role in self.part.items():
            if number == person if kind == "user" else person in self.team[number]:
                given.setdefault(project, set()).add(role)
        custom = None if isinstance(self.role[person], str) else self.place_of(self.role[person]).permissions
        name = self.role[person] if custom is None else "custom"
        return membership(str(name), custom, {key: frozenset(names) for key, names in given.items()})

    def rights(self, person: int) -> set[Right]:
        """Return everything somebody may do: in the organisation, and in each project."""
        place = self.place(person)
        inside = {(p.id, word) for p in PROJECTS for word in PERMISSIONS if place.may(p, word)}
        return {("everywhere", word) for word in place.permissions} | inside

    def actor(self, person: int) -> Actor:
        """Return somebody as the one who acts."""
        return Actor(uuid4(), self.place(person))

    @rule(actor=ACTOR, whom=WHO, role=st.one_of(st.just("owner"), ROLE))
    def set_role(self, actor: int, whom: int, role: str | int) -> None:
        try:
            self.actor(actor).demand("members:write")
            self.actor(actor).demand_place(self.place_of(self.role[whom]))
            self.actor(actor).demand_place(self.place_of(role))
        except PermissionDenied:
            return
        self.role[whom] = role

    @rule(actor=ACTOR, role=st.sampled_from(OWN_ROLES), words=WORDS)
    def change_role(self, actor: int, role: int, words: frozenset[str]) -> None:
        try:
            self.actor(actor).demand("roles:write")
            self.actor(actor).demand_words(self.words[role] | words)
        except PermissionDenied:
            return
        self.words[role] = words

    @rule(actor=ACTOR, team=st.sampled_from(TEAMS), whom=WHO)
    def join_team(self, actor: int, team: int, whom: int) -> None:
        try:
            self.actor(actor).demand("teams:write")
            for project in PROJECTS:
                role = self.part.get((project.id, ("team", team)))
                if role is not None:
                    self.actor(actor).demand_project_role(project, role)
        except PermissionDenied:
            return
        self.team[team].add(whom)

    @rule(actor=ACTOR, team=st.sampled_from(TEAMS), whom=WHO)
    def leave_team(self, actor: int, team: int, whom: int) -> None:
        if "teams:write" in self.place(actor).permissions:
            self.team[team].discard(whom)

    @rule(actor=ACTOR, project=PROJECT, subject=SUBJECT, role=PROJECT_ROLE)
    def give_part(self, actor: int, project: ProjectPlace, subject: tuple[str, int], role: str) -> None:
        try:
            self.actor(actor).demand_in_project(project, "projects:write")
            self.actor(actor).demand_project_role(project, self.part.get((project.id, subject), role))
            self.actor(actor).demand_project_role(project, role)
        except (PermissionDenied, NotFound):
            return
        self.part[project.id, subject] = role

    @invariant()
    def nobody_holds_more_than_was_held(self) -> None:
        for person, bound in self.bound.items():
            assert self.rights(person) <= bound


TestPlot = Plot.TestCase
TestPlot.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


class Careless(Plot):
    """The same, but who may change roles gives any."""

    @rule(actor=ACTOR, whom=WHO, role=ROLE)
    def set_role(self, actor: int, whom: int, role: str | int) -> None:
        if "members:write" in self.place(actor).permissions:
            self.role[whom] = role


def test_the_search_finds_a_hole_where_there_is_one() -> None:
    looking = settings(
        max_examples=300,
        stateful_step_count=10,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Careless, settings=looking)


def test_owners_alone_make_owners_and_a_role_that_holds_everything_makes_none() -> None:
    everything = membership("custom", frozenset(PERMISSIONS))
    owner, admin = membership("owner"), membership("admin")
    assert may_give_place(owner, owner)
    assert not may_give_place(everything, owner)
    assert not may_give_place(admin, owner)
    assert not may_give_place(admin, everything)
    assert may_give_place(everything, admin)


@pytest.mark.parametrize("role", list(ROLE_PERMISSIONS))
def test_everybody_may_give_what_they_are_and_nothing_above(role: str) -> None:
    giver = membership(role)
    for other, held in ROLE_PERMISSIONS.items():
        assert may_give_place(giver, membership(other)) == (held <= giver.permissions)
    for word in PERMISSIONS:
        assert may_give_words(giver, {word}) == (word in giver.permissions)


def test_a_role_in_a_project_is_given_by_who_holds_all_of_it_there() -> None:
    project, other = ProjectPlace(uuid4(), False), ProjectPlace(uuid4(), False)
    manager = membership("guest", None, {project.id: frozenset({"manager"})})
    viewer = membership("member", None, {project.id: frozenset({"viewer"})})
    for role in PROJECT_ROLE_PERMISSIONS:
        assert may_give_project_role(manager, project, role)
        assert not may_give_project_role(manager, other, role)
        assert may_give_project_role(viewer, project, role) == (role == "viewer")
    assert may_join_to_team(manager, [(project, "manager")])
    assert not may_join_to_team(manager, [(project, "manager"), (other, "viewer")])
    assert may_join_to_team(membership("guest"), [])
