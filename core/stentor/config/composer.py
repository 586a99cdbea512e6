"""Composes a recipe with Hydra, and checks all of it before and after, so that every problem is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stentor.config import overrides as commands
from stentor.config import schema, structure
from stentor.config.files import Reader, RecipeFile
from stentor.config.interpolation import Resolver
from stentor.config.layers import Layers
from stentor.config.recipe import Recipe
from stentor.config.roles import Roles
from stentor.config.source import Served, plain_defaults, serving
from stentor.errors import Problem, StentorError
from stentor.plugins import Plugins

_ROOT = "recipe"


class Composer:
    """Composes recipes out of the components and recipes of `plugins`."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.registry = plugins.registry

    def compose(self, recipe: str, overrides: Sequence[str] = ()) -> Recipe:
        """See `stentor.config.compose`."""
        reader = Reader(self.plugins)
        top = reader.read(recipe)
        given, problems = commands.parse(overrides)
        roles = Roles.of_recipe(self.registry, top, given)
        layers = Layers(roles, top)
        values = layers.choose(given)
        problems += reader.problems + layers.problems
        config = self._hydra(top, layers, problems)
        changed = [one.key for one in values]
        OmegaConf.set_struct(config, False)
        problems += [problem for one in values if (problem := commands.apply(config, one))]
        problems += self._finish(config, lambda path: _source(path, changed, reader))
        if problems:
            raise StentorError(problems=structure.by_place(problems))
        return Recipe(self.filled)

    def _hydra(self, top: RecipeFile, layers: Layers, problems: list[Problem]) -> DictConfig:
        configs = {f"{_ROOT}/{key}": content for key, content in layers.configs(_ROOT).items()}
        configs["settings"] = _settings(top.name)
        words = ["hydra.searchpath=[stentor://]", f"+{_ROOT}={top.key}", *layers.hydra_overrides()]
        try:
            with serving(Served(self.registry, configs)), initialize(config_path=None, version_base="1.3"):
                return hydra_compose(None, words)
        except (HydraException, OmegaConfBaseException) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            problems.append(Problem(f"its sections do not fit together: {reason}.", top.name))
            return OmegaConf.create({})

    def _finish(self, config: DictConfig, source: Any) -> list[Problem]:
        plain: Any = OmegaConf.to_container(config, resolve=False)
        resolver = Resolver(plain)
        self.filled, problems = structure.check(resolver.resolve(), self.registry)
        return [structure.located(problem, source(problem.path)) for problem in (*resolver.problems, *problems)]


def _settings(name: str) -> dict[str, Any]:
    """The settings sections with their defaults, so that recipes can refer to them."""
    scalars = {key: default for key, (_, default) in structure.SCALARS.items()}
    sections = {
        section: plain_defaults(schema.of_dataclass(structure.settings_class(section)))
        for section in structure.SETTINGS
    }
    return {**scalars, **sections, "name": name.replace("${", "\\${")}


def _source(path: str, changed: list[str], reader: Reader) -> str:
    if any(path == key or path.startswith((f"{key}.", f"{key}[")) for key in changed):
        return commands.SOURCE
    written = reader.where(path)
    return written or (commands.SOURCE if any(key.startswith(f"{path}.") for key in changed) else "")
