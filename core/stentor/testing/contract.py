"""What every component proves, whatever its kind."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import typing
import unittest
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, NoReturn

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.registry import Entry
from stentor.testing.outcome import ContractFailure

_HEAVY = ("torch", "lightning", "transformers", "lhotse")
_LOAD_ALONE = (
    "import os, sys; os.environ['STENTOR_PLUGINS'] = sys.argv[1]\n"
    "from stentor.plugins import load; load()\n"
    f"print(' '.join(m for m in {_HEAVY!r} if m in sys.modules))"
)


class ComponentContract:
    """Checks for any kind; the contracts of the kinds add theirs.

    Attributes:
        kind: set by the contracts of the kinds.
        name: the component's name in the registry.
        config: keyword arguments to build it with; choose a small configuration where the defaults are big.
        expected_failed: check name -> reason; the check is run and has to fail (a strict xfail).
        tolerance: largest difference allowed where two computations have to agree, relative to the size of the values.
    """

    is_stentor_contract: ClassVar[bool] = True
    kind: ClassVar[str]
    name: ClassVar[str]
    config: ClassVar[Mapping[str, Any]] = {}
    expected_failed: ClassVar[Mapping[str, str]] = {}
    tolerance: ClassVar[float] = 1e-4
    check: str = ""

    def setup_method(self, method: Callable[..., None]) -> None:
        """Called before each check, by pytest or by the runner."""
        self.check = method.__name__.removeprefix("test_")

    def wired(self) -> tuple[Any, ...]:
        """The positional arguments of the constructor: what the assembly would wire."""
        return ()

    @property
    def entry(self) -> Entry:
        try:
            return registry().get(self.kind, self.name)
        except StentorError as error:
            raise ContractFailure(f"{self.kind} '{self.name}' is not registered: {error}") from None

    @property
    def component_class(self) -> Any:
        return self.entry.load()

    def build(self, **changes: Any) -> Any:
        """A new instance, with `config` and then `changes`."""
        return self.component_class(*self.wired(), **{**self.config, **changes})

    def probe(self, component: Any) -> Any:
        """What `component` gives for fixed input, in a form that ``==`` compares; None where there is no such thing."""
        return None

    def fail(self, sentence: str) -> NoReturn:
        """End the check: `sentence` says what was measured and what was declared."""
        raise ContractFailure(f"{self.kind} '{self.name}' of {self.entry.origin} fails {self.check}: {sentence}")

    def demand(self, condition: bool, sentence: str) -> None:
        if not condition:
            self.fail(sentence)

    def need(self, capability: str) -> None:
        """Skip the check unless the component claims `capability`."""
        if capability not in self.component_class.capabilities:
            self.skip(f"{self.kind} '{self.name}' does not claim '{capability}'")

    def skip(self, reason: str) -> NoReturn:
        raise unittest.SkipTest(reason)

    def test_registered(self) -> None:
        """It is found under its kind and name, and implements the kind's interface."""
        found = self.component_class
        interface = Entry(self.kind, "interface", registry().check_kind(self.kind).interface, self.entry.origin).load()
        self.demand(inspect.isclass(found), f"'{self.entry.target}' is a {type(found).__name__}, not a class.")
        self.demand(issubclass(found, self.interfaces(interface)), f"'{self.entry.target}' is no {interface.__name__}.")

    def interfaces(self, declared: type) -> tuple[type, ...]:
        """The classes of which it has to be one."""
        return (declared,)

    def test_light_registration(self) -> None:
        """Loading the plugin that registers it imports nothing heavy."""
        heavy = heavy_imports(self.entry.origin.plugin)
        self.demand(not heavy, f"loading its plugin imports {heavy}; the hook module must name components by import "
                               f"strings only.")  # fmt: skip

    def test_parameters_typed(self) -> None:
        """Every parameter is annotated, every configured one has a default, and none swallows arbitrary names."""
        constructor = self.component_class.__init__
        if constructor is object.__init__:
            return
        hints = typing.get_type_hints(constructor)
        for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                self.fail(f"its constructor takes '{parameter}', so misspelt options would pass unseen.")
            self.demand(parameter.name in hints, f"parameter '{parameter.name}' has no type.")
            if parameter.kind == parameter.KEYWORD_ONLY:
                self.demand(parameter.default is not parameter.empty, f"option '{parameter.name}' has no default.")

    def test_documented(self) -> None:
        """The class has a docstring of its own: it is what `stentor describe` shows."""
        self.demand(bool(vars(self.component_class).get("__doc__")), "its class has no docstring.")

    def test_capabilities(self) -> None:
        """Capabilities are a frozen set of words."""
        claimed = self.component_class.capabilities
        fine = isinstance(claimed, frozenset) and all(isinstance(word, str) for word in claimed)
        self.demand(fine, f"capabilities are {claimed!r}, not a frozenset of str.")

    def test_builds_from_defaults(self) -> None:
        """It builds with no configuration at all."""
        self.component_class(*self.wired())

    def test_unknown_option(self) -> None:
        """An option that does not exist is refused with a TypeError that names it."""
        try:
            self.build(no_such_option=1)
        except TypeError as error:
            named = "no_such_option" in str(error) or "takes no arguments" in str(error)
            self.demand(named, f"the TypeError for 'no_such_option' only says: {error}")
        else:
            self.fail("it accepts 'no_such_option', which it does not have.")

    def test_pickles(self) -> None:
        """A copy through pickle does what the original does: loader workers and launchers depend on it."""
        component = self.build()
        copy = pickle.loads(pickle.dumps(component))
        before, after = self.probe(component), self.probe(copy)
        self.demand(before == after, f"a pickled copy gives {after!r:.80}, the original {before!r:.80}.")


@cache
def heavy_imports(plugin: str) -> str:
    """Which heavy libraries loading `plugin` alone imports, in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_ALONE, plugin], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()
