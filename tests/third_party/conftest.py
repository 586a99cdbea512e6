"""The outside distribution's own tests run where it is installed: in CI, and in the journey that installs it."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("stentor_thirdparty") else ["stentor-thirdparty"]
