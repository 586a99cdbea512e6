"""A Hydra config source, ``stentor://``, that serves registries as config groups on demand.

Every kind is a group and every component a choice in it: ``encoder=conformer`` loads ``encoder/conformer``, which is
the component's name and the defaults of its constructor. Nothing is stored up front. Within `serving` any Hydra
application may use it, with ``hydra.searchpath=[stentor://]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from stentor.config import schema, typing_rules
from stentor.config.checking import plain
from stentor.config.schema import Field
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.registry import Registry

SCHEME = "stentor"


@dataclass(frozen=True)
class Served:
    """What is served: the components of a registry, and whole configs (path -> content) at the root package."""

    registry: Registry
    configs: Mapping[str, dict[str, Any]] = field(default_factory=dict)


_SERVED: ContextVar[Served | None] = ContextVar("stentor_served", default=None)


@contextmanager
def serving(served: Served) -> Iterator[None]:
    """Make the source known to Hydra and serve `served` within the block."""
    plugins = HydraPlugins.instance()
    if StentorSource not in plugins.discover(ConfigSource):
        plugins.register(StentorSource)
    token = _SERVED.set(served)
    try:
        yield
    finally:
        _SERVED.reset(token)


class StentorSource(ConfigSource):
    """Serves the present registry; see the module's page."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        self.served = _SERVED.get() or Served(registry())

    @staticmethod
    def scheme() -> str:
        return SCHEME

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in self._kinds() or any(path.startswith(f"{config_path}/") for path in self.served.configs)

    def is_config(self, config_path: str) -> bool:
        kind, _, name = config_path.partition("/")
        return config_path in self.served.configs or (
            kind in self._kinds() and name in self.served.registry.names(kind)
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Kinds at the root, components in a kind."""
        if not config_path:
            return [] if results_filter == ObjectType.CONFIG else sorted(self._kinds())
        known = config_path in self._kinds() and results_filter != ObjectType.GROUP
        return self.served.registry.names(config_path) if known else []

    def load_config(self, config_path: str) -> ConfigResult:
        """A component's name and defaults, in the package of its group or role."""
        if config_path in self.served.configs:
            return self._result(config_path, self.served.configs[config_path], "_global_")
        if not self.is_config(config_path):
            raise ConfigLoadError(f"there is no config '{config_path}'")
        kind, _, name = config_path.partition("/")
        return self._result(config_path, {"name": name, **defaults_of(self.served.registry, kind, name)}, None)

    def _kinds(self) -> set[str]:
        return {kind.name for kind in self.served.registry.kinds()}

    def _result(self, path: str, content: dict[str, Any], package: str | None) -> ConfigResult:
        where = f"{SCHEME}://{path}"
        return ConfigResult(SCHEME, where, OmegaConf.create(content), {"package": package})


def defaults_of(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    """The defaults of a component, for other keys to interpolate; a component that is at fault has none here, for the
    check that follows tells of it."""
    try:
        return plain_defaults(schema.of(registry.get(kind, name)).configured)
    except StentorError:
        return {}


def plain_defaults(fields: tuple[Field, ...]) -> dict[str, Any]:
    """The defaults of `fields` as Hydra takes them; references stay out, for a mapping would merge into them."""
    return {
        field.name: _literally(plain(field.default))
        for field in fields
        if not field.required and typing_rules.reference(field.hint) is None
    }


def _literally(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _literally(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_literally(item) for item in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value
