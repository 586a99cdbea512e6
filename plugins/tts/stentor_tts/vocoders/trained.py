"""A part that another run has trained."""

from __future__ import annotations

from torch import nn

from stentor.errors import StentorError
from stentor.train import parts


def fill(module: nn.Module, run: str, role: str) -> dict[str, str]:
    """Fill `module` with what run `run` trained for `role`; nothing where `run` is empty.

    Returns:
        Provenance.

    Raises:
        StentorError: when the run has none, or one of another shape.
    """
    if not run:
        return {}
    tensors, provenance = parts.tensors_of(run, role)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as cause:
        section = {key: value for key, value in parts.section_of(run, role).items() if key != "run"}
        told = f"what the run '{run}' trained is {section}; the {role} here must be configured like that"
        raise StentorError(f"{told}.", path=f"{role}.run", value=run) from cause
    return provenance
