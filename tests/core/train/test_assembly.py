import pytest
import toy

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.train.assembly import assemble, build


@pytest.fixture(autouse=True)
def registered():
    toy.register()


def test_builds_by_role():
    task = assemble({"task": {"name": "toy", "dropout": 0.5}, "encoder": {"name": "toy"}}, texts=[])
    assert isinstance(task, toy.ToyTask) and task.head[2].p == 0.5


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({"task": {"name": "toi"}, "encoder": {"name": "toy"}}, "task", "Did you mean 'toy'"),
        ({"task": {"name": "toy", "dropuot": 1}, "encoder": {"name": "toy"}}, "task.dropuot", "Did you mean 'dropout'"),
        ({"task": {"name": "toy"}, "encoder": {"name": "toy", "x": 1}}, "encoder.x", "no parameter 'x'"),
        ({"task": {"name": "toy"}, "encoder": {}}, "encoder.name", "which encoder"),
        ({"task": {"name": "toy"}}, "", "encoder"),
    ],
)
def test_says_what_is_wrong(config, path, said):
    with pytest.raises(StentorError) as caught:
        assemble(config, texts=[])
    assert caught.value.path == path and said in str(caught.value)


class Broken:
    def __init__(self, *, size: int = 0):
        if size < 0:
            raise StentorError("size must not be negative.")
        raise ZeroDivisionError("by zero")


def test_blames_the_component():
    if "broken" not in registry().names("adapter"):
        registry().add("adapter", "broken", f"{__name__}:Broken")
    with pytest.raises(StentorError, match="adapter: 'broken' cannot be built: ZeroDivisionError: by zero"):
        build("adapter", {"name": "broken"})
    with pytest.raises(StentorError, match="adapter: size must not be negative"):
        build("adapter", {"name": "broken", "size": -1})
