"""Fixtures of the tests of the core."""

import fakes
import pytest

from stentor.config import compose
from stentor.errors import StentorError


@pytest.fixture
def kitchen(tmp_path):
    """Compose recipe ``fake/NAME`` out of texts."""

    class Kitchen:
        def plugins(self, **recipes):
            return fakes.plugins(tmp_path / "recipes", **recipes)

        def cook(self, *overrides, recipe="fake/basic", **recipes):
            return compose(recipe, overrides, plugins=self.plugins(**recipes))

        def problems(self, *overrides, recipe="fake/basic", **recipes):
            with pytest.raises(StentorError) as caught:
                self.cook(*overrides, recipe=recipe, **recipes)
            return caught.value.problems

    return Kitchen()
