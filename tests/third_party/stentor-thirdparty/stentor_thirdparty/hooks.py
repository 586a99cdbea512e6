"""What this plugin brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.encoder("sinc", "stentor_thirdparty.encoder:Sinc")
    registry.adapter("gated", "stentor_thirdparty.adapter:Gated")
    registry.backbone("renormed", "stentor_thirdparty.backbone:Renormed")
    registry.reward("keywords", "stentor_thirdparty.reward:Keywords")
    registry.metric("ser", "stentor_thirdparty.metric:SentenceErrorRate")
    registry.task("keyword-spotting", "stentor_thirdparty.task:KeywordSpotting")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"
