# Sourced by the lanes that need an environment of their own, built from wheels, nothing editable.
# fresh NAME: a new environment in $work/NAME with torch; its Python is $python.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fresh() {
    .venv/bin/python -m venv "$work/$1"
    python=$work/$1/bin/python
    "$python" -m pip install --quiet --constraint constraints.txt torch
}

# wheel FOLDER...: build wheels from a copy, so that the checkout stays as it is; they land in $work/wheels
wheel() {
    for folder in "$@"; do
        local copy=$work/source/$folder
        mkdir -p "$(dirname "$copy")"
        cp -r "$folder" "$copy"
        rm -rf "$copy/build" "$copy"/*.egg-info
        "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels" "$copy"
    done
}

# say WORDS...: run stentor in the environment, away from the checkout, strictly
say() {
    (cd "$work" && STENTOR_STRICT=1 "$python" -m stentor "$@")
}

# imports_all PACKAGE: import every module of a package, but those named in the rest
imports_all() {
    (cd "$work" && "$python" - "$@" <<'PYTHON'
import importlib
import pkgutil
import sys

package, *left_out = sys.argv[1:]
found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
names = [module.name for module in found if module.name not in left_out and not module.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(f"imported {len(names)} modules of {package}")
PYTHON
    )
}
