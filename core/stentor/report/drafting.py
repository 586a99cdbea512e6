"""What became of drafted tokens, out of the statistics of evaluated sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stentor.report.plots import Series, lines


def drafting(results: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Figures, table and chart of acceptance by position; None where nothing was drafted."""
    told = {result["set"]: (result.get("statistics") or {}).get("decoding") for result in results}
    drafted = {name: one for name, one in told.items() if one and one["all_rounds"]["rates"]}
    if not drafted:
        return None
    longest = max(len(one["all_rounds"]["rates"]) for one in drafted.values())
    curves = [
        Series(name, [(place, 100 * rate) for place, rate in enumerate(one["whole_rounds"]["rates"], 1)], f"s{n % 8}",
               dots=True)
        for n, (name, one) in enumerate(drafted.items())
    ]  # fmt: skip
    return {
        "positions": range(1, longest + 1),
        "sets": [_set(name, one, longest) for name, one in drafted.items()],
        "chart": lines(curves, x_label="position in the draft", y_label="accepted, % of whole rounds", from_zero=True),
    }


def _set(name: str, told: Mapping[str, Any], longest: int) -> dict[str, Any]:
    rounds = {"all": told["all_rounds"], "whole": told["whole_rounds"]}
    return {
        "set": name,
        "rows": told["rows"],
        "tokens": told["tokens"],
        "per_token": f"{told['forwards_per_token']:.3f}",
        "rounds": [
            {
                "which": which,
                "count": one["rounds"],
                "rates": [f"{100 * rate:.1f}" for rate in one["rates"]] + ["-"] * (longest - len(one["rates"])),
                "length": "-" if one["mean_accepted_length"] is None else f"{one['mean_accepted_length']:.2f}",
                "decay": "-" if one["decay"] is None else f"{one['decay']:.3f}",
            }
            for which, one in rounds.items()
        ],
    }
