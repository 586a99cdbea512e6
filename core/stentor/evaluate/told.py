"""What tasks count while they are evaluated (`Task.statistics`), for tables and reports."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def codebooks(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Use of codebooks in evaluated sets, one entry each, from the statistics of their tasks."""
    return [
        {
            "set": result["set"],
            "name": book["name"],
            "size": book["size"],
            "used": f"{100 * book['used']:.1f}" if "used" in book else "-",
            "perplexity": f"{book['perplexity']:.1f}" if "perplexity" in book else "-",
            "rate": f"{book['rate']:.2f}" if "rate" in book else "-",
        }
        for result in results
        for book in _books(result.get("statistics") or {})
    ]


def _books(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    named = (told.get("codes") or {}).get("codebooks") or {}
    return list(told.get("codebooks") or []) + [{"name": name, **book} for name, book in named.items()]


def latencies(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Times to the first packet, where a task told them (ms)."""
    found = []
    for result in results:
        times = sorted(1000 * one for one in (result.get("statistics") or {}).get("first_packet_seconds") or [])
        if times:
            ninth = times[min(len(times) - 1, round(0.9 * (len(times) - 1)))]
            middle = statistics.median(times)
            found.append({"set": result["set"], "count": len(times), "median": f"{middle:.0f}",
                          "ninth": f"{ninth:.0f}", "most": f"{times[-1]:.0f}"})  # fmt: skip
    return found


def lines(result: Mapping[str, Any]) -> list[str]:
    """One sentence for each codebook of a set, one for its first-packet latency."""
    books = [
        f"{one['set']}: codebook {one['name']}: {one['used']} % of {one['size']} codes used, perplexity "
        f"{one['perplexity']}"
        for one in codebooks([result])
    ]
    waits = [
        f"{one['set']}: first packet after {one['median']} ms (median), {one['ninth']} ms (90 % of {one['count']})"
        for one in latencies([result])
    ]
    return books + waits
