"""Turns recipe files and choices of the command line into what Hydra composes.

Settings that a recipe writes for one component do not carry over to another: where ``encoder=conformer``, or a recipe
that extends this one, swaps the component of a role, what was written for the component before is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stentor.config.files import SELF, Pick, RecipeFile
from stentor.config.overrides import SOURCE, Given
from stentor.config.roles import Roles
from stentor.errors import Problem, StentorError


@dataclass
class Layer:
    """One file: the components as it sees them (role -> name), those it chooses itself, and what else it says."""

    file: RecipeFile
    seen: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    inherited: set[str] = field(default_factory=set)
    entries: list[str] = field(default_factory=list)


class Layers:
    """All files of a recipe; `problems` collects roles and names that do not exist."""

    def __init__(self, roles: Roles, top: RecipeFile) -> None:
        self.roles = roles
        self.problems: list[Problem] = []
        self.all: dict[str, Layer] = {}
        self.top = self._layer(top)
        self.chosen: dict[str, str | None] = {}

    def choose(self, given: Sequence[Given]) -> list[Given]:
        """Take the overrides that choose components; the rest, which change values, are returned."""
        return [left for one in given if (left := self._choose_one(one)) is not None]

    def hydra_overrides(self) -> list[str]:
        """The choices, where the recipe made one before, as Hydra's overrides."""
        words = {role: self.roles.word_for(role) for role in self.chosen if role in self.top.seen}
        return [
            f"~{word}" if self.chosen[role] is None else f"{word}='{self.chosen[role]}'" for role, word in words.items()
        ]

    def configs(self, root: str) -> dict[str, dict[str, Any]]:
        """Every file's content, by key, with a defaults list in Hydra's own terms."""
        final = {**self.top.seen, **self.chosen}
        return {key: self._config(layer, root, final) for key, layer in self.all.items()}

    def _config(self, layer: Layer, root: str, final: dict[str, str | None]) -> dict[str, Any]:
        body = {key: value for key, value in layer.file.body.items() if layer.seen.get(key) in (None, final.get(key))}
        entries: list[Any] = []
        if layer is self.top:
            new = {self.roles.word_for(role): name for role, name in self.chosen.items() if role not in layer.seen}
            entries = ["/settings", *({f"/{word}": name} for word, name in new.items() if name is not None)]
        later = []
        for entry in layer.entries:
            if entry == SELF:
                entries.append(SELF)
            elif entry not in layer.own:
                entries.append(f"/{root}/{entry}")
            elif entry in layer.inherited:
                later.append({f"override /{self.roles.word_for(entry)}": layer.own[entry]})
            else:
                entries.append({f"/{self.roles.word_for(entry)}": layer.own[entry]})
        return {**body, "defaults": entries + later}

    def _layer(self, file: RecipeFile) -> Layer:
        layer = Layer(file)
        for parent in file.parents:
            above = self._layer(parent)
            twice = sorted(layer.inherited & set(above.seen))
            if twice:
                message = f"'{parent.name}' chooses {', '.join(twice)} again; extend only one recipe that does."
                self.problems.append(Problem(message, "defaults", parent.name, source=file.document.where("defaults")))
                continue
            layer.seen.update(above.seen)
            layer.inherited |= set(above.seen)
            layer.entries.append(parent.key)
        self._own(layer)
        layer.seen.update(layer.own)
        layer.entries = self._in_order(layer)
        self.all[file.key] = layer
        return layer

    def _own(self, layer: Layer) -> None:
        for item in layer.file.items:
            if isinstance(item, Pick):
                self._pick(layer, item)
        for role, section in list(layer.file.body.items()):
            if self.roles.kind_of(role) is None:
                continue
            name = section.get("name") if isinstance(section, dict) else section
            if isinstance(name, str):
                where = layer.file.document.where(f"{role}.name")
                self._pick(layer, Pick(role, None, name, where), again=True)
                rest = {key: value for key, value in section.items() if key != "name"} if name is not section else {}
                layer.file.body[role] = rest

    def _pick(self, layer: Layer, pick: Pick, again: bool = False) -> None:
        try:
            role = self.roles.resolve(pick.word, pick.at, pick.source)
            self.roles.registry.get(self.roles.kinds[role], pick.name, path=role)
        except StentorError as error:
            self.problems += [replace(problem, source=pick.source) for problem in error.problems]
            return
        if role in layer.own and not again:
            self.problems.append(Problem(f"'{role}' is chosen twice.", role, pick.name, source=pick.source))
        layer.own[role] = pick.name

    def _in_order(self, layer: Layer) -> list[str]:
        """The defaults list by role and key, in the order of the file; choices made in the body come first."""
        order: list[str] = []
        for item in layer.file.items:
            if isinstance(item, RecipeFile):
                order += [item.key] if item.key in layer.entries else []
            elif isinstance(item, Pick):
                role = self._role_or_none(item)
                order += [role] if role in layer.own and role not in order else []
            else:
                order.append(SELF)
        return [role for role in layer.own if role not in order] + order

    def _role_or_none(self, pick: Pick) -> str | None:
        try:
            return self.roles.resolve(pick.word, pick.at, pick.source)
        except StentorError:
            return None

    def _choose_one(self, given: Given) -> Given | None:
        word, _, last = given.key.partition(".")
        settings = given.value
        if given.at is None and last == "name" and self.roles.kind_of(word) and isinstance(settings, str):
            self._take(word, settings)
            return None
        if last or (given.at is None and not self.roles.means(given.key)):
            return given
        role = self._role(given)
        if role is None or not isinstance(settings, dict):
            if role is not None:
                self._take(role, None if given.delete or settings is None else str(settings))
            return None
        if isinstance(settings.get("name"), str):
            self._take(role, settings["name"])
        rest = {key: value for key, value in settings.items() if key != "name"}
        return replace(given, key=role, at=None, value=rest)

    def _role(self, given: Given) -> str | None:
        try:
            return self.roles.resolve(given.key, given.at, SOURCE)
        except StentorError as error:
            self.problems += error.problems
            return None

    def _take(self, role: str, name: str | None) -> None:
        try:
            if name is not None:
                self.roles.registry.get(self.roles.kinds[role], name, path=role)
        except StentorError as error:
            self.problems += [replace(problem, source=SOURCE) for problem in error.problems]
            return
        self.chosen[role] = name
