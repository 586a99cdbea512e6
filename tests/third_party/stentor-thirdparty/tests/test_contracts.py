"""Every component of the plugin under the contract of its kind."""

from stentor.testing import (
    AdapterContract,
    BackboneContract,
    EncoderContract,
    MetricContract,
    RewardContract,
    TaskContract,
)


class TestSinc(EncoderContract):
    name = "sinc"


class TestGated(AdapterContract):
    name = "gated"


class TestRenormed(BackboneContract):
    name = "renormed"


class TestKeywords(RewardContract):
    name = "keywords"


class TestSentenceErrorRate(MetricContract):
    name = "ser"


class TestKeywordSpotting(TaskContract):
    name = "keyword-spotting"
    sections = {"encoder": {"name": "sinc"}, "adapter": {"name": "gated"}}
