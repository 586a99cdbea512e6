"""Why something was left out: what is wrong stands first, so that equal reasons are counted together."""

from stentor.data.quarantine import by_reason, reason
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected


def test_exceptions_as_reasons():
    assert reason(RuntimeError("it\nbroke")) == "RuntimeError: it broke"
    told = reason(StentorError("there is no style 'wlid'.", path="style", value="wlid", options=("wild",)))
    assert told == "there is no style 'wlid'. Did you mean 'wild'? Options: wild. (style)"
    assert reason(StentorError("no.")) == "no."


def test_equal_reasons_at_other_places_are_counted_together():
    lost = [Rejected(where, reason(StentorError("is silent.", path=f"{where}.wav"))) for where in ("a", "b")]
    assert by_reason(lost) == {"is silent.": 2}
