"""Recipe files: found by name or path, with the recipes that they extend."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stentor.config import interpolation
from stentor.config.reading import Document, read
from stentor.errors import Problem, StentorError, near_match
from stentor.plugins import Plugins

SELF = "_self_"
MOST_FILES = 50


@dataclass(frozen=True)
class Pick:
    """``- word@at: name`` in a defaults list: component `name` plays a role."""

    word: str
    at: str | None
    name: str
    source: str


@dataclass
class RecipeFile:
    """One file: its defaults list, in order, and its body."""

    key: str
    name: str
    document: Document
    items: list[RecipeFile | Pick | str] = field(default_factory=list)
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def parents(self) -> list[RecipeFile]:
        return [item for item in self.items if isinstance(item, RecipeFile)]


class Reader:
    """Reads a recipe and all it extends; `problems` collects what is wrong with them."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.problems: list[Problem] = []
        self.files: list[RecipeFile] = []

    def read(self, recipe: str) -> RecipeFile:
        """The recipe of this name or path.

        Raises:
            StentorError: when there is no such recipe, or its file is not YAML.
        """
        return self._read(*self._find(recipe), ())

    def where(self, path: str) -> str:
        """The file and line that say most of `path`; nearer files count before those they extend."""
        best, found = 0, ""
        for file in self.files:
            at = path
            while at and at not in file.document.lines:
                at = at[: max(at.rfind("."), at.rfind("["), 0)]
            if len(at) > best:
                best, found = len(at), file.document.where(at)
        return found

    def _find(self, recipe: str) -> tuple[str, Path]:
        known = self.plugins.recipes
        if recipe in known:
            return recipe, known[recipe]
        path = Path(recipe)
        if path.suffix in (".yaml", ".yml"):
            if not _is_file(path):
                raise StentorError(f"there is no file '{recipe}'.", path="recipe", value=recipe)
            return path.stem, path
        near = near_match(recipe, known)
        beside = Path(f"{recipe}.yaml")
        if near is None and _is_file(beside):
            near = f"To use the file, write '{beside}'."
        raise StentorError(f"there is no recipe '{recipe}'; a file is given by its path, ending in .yaml.",
                           path="recipe", value=recipe, options=sorted(known), suggestion=near)  # fmt: skip

    def _read(self, name: str, path: Path, above: tuple[Path, ...]) -> RecipeFile:
        resolved = path.resolve()
        if resolved in above:
            circle = " -> ".join(file.name for file in (*above[above.index(resolved) :], resolved))
            raise StentorError(f"recipes extend one another in a circle: {circle}.", path="defaults", value=name)
        if len(self.files) >= MOST_FILES:
            raise StentorError(f"it extends more than {MOST_FILES} recipes.", path="defaults", value=name)
        document = read(path)
        file = RecipeFile(f"file{len(self.files)}", name, document, body=dict(document.data))
        self.files.append(file)
        self.problems += document.problems
        for index, item in enumerate(self._defaults(file)):
            found = self._item(file, item, f"defaults[{index}]", (*above, resolved))
            if found is not None:
                file.items.append(found)
        if SELF not in file.items:
            file.items.append(SELF)
        self._clean(file)
        return file

    def _defaults(self, file: RecipeFile) -> list[Any]:
        defaults = file.body.pop("defaults", None)
        if defaults is None or isinstance(defaults, list):
            return defaults or []
        message = "'defaults' must be a list, e.g. '- encoder: conformer'."
        self.problems.append(Problem(message, "defaults", defaults, source=file.document.where("defaults")))
        return []

    def _item(self, file: RecipeFile, item: Any, path: str, above: tuple[Path, ...]) -> RecipeFile | Pick | str | None:
        source = file.document.where(path)
        if isinstance(item, str):
            return SELF if item == SELF else self._extended(file, item, path, above)
        if isinstance(item, dict) and len(item) == 1:
            key, name = next(iter(item.items()))
            word, _, role = key.removeprefix("override ").strip().removeprefix("/").partition("@")
            if name is None:
                return None
            if isinstance(name, str):
                return Pick(word, role or None, name, source)
        message = "an entry is '- KIND: NAME', '- KIND@ROLE: NAME', the name of a recipe to extend, or '_self_'."
        self.problems.append(Problem(message, path, item, source=source))
        return None

    def _extended(self, file: RecipeFile, item: str, path: str, above: tuple[Path, ...]) -> RecipeFile | None:
        known, name = self.plugins.recipes, item.removeprefix("/")
        if name in known:
            return self._read(name, known[name], above)
        folder = file.document.path.resolve().parent
        beside = folder / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
        inside = ".." not in Path(name).parts and not Path(item).is_absolute()
        if inside and _is_file(beside) and beside.resolve().is_relative_to(folder):
            return self._read(name, beside.resolve(), above)
        options = tuple(sorted({*known, *(found.stem for found in sorted(folder.glob("*.yaml")))}))
        message = f"there is no recipe '{item}' to extend."
        if not inside:
            message = f"'{item}' is refused: a recipe extends installed recipes and files in its own folder."
        near = near_match(name, options)
        self.problems.append(Problem(message, path, item, options, near, file.document.where(path)))
        return None

    def _clean(self, file: RecipeFile) -> None:
        """Take out what Hydra must not see: its own section, and resolvers that it or others may know."""
        where = file.document.where
        if "hydra" in file.body:
            del file.body["hydra"]
            message = "there is no section 'hydra': a recipe cannot configure Hydra."
            self.problems.append(Problem(message, "hydra", source=where("hydra")))
        for path, text in list(interpolation.strings(file.body)):
            fault = interpolation.fault_in(text)
            if fault:
                self.problems.append(Problem(fault, path, text, source=where(path)))
        file.body = _without_faults(file.body)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte, is no file's
        return False


def _without_faults(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_faults(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_faults(item) for item in value]
    return None if isinstance(value, str) and interpolation.fault_in(value) else value
