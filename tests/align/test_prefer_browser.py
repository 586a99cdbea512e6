"""Somebody compares in a real browser, in two tabs, and the server is killed in between; no vote is lost."""

import shutil
import signal
from importlib.util import find_spec

import comparing
import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
WHY = "needs a browser and its driver (apt install chromium chromium-driver) and the package selenium"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (BROWSER and DRIVER and find_spec("selenium")), reason=WHY)]
SECONDS = 60
"""Most that anything on the page may take; a busy machine is slow, not wrong."""


@pytest.fixture
def browser(tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    words = ["headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "no-proxy-server", "mute-audio"]
    words += ["window-size=1100,1000", f"user-data-dir={tmp_path / 'profile'}"]
    for word in words:
        options.add_argument(f"--{word}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Tab:
    """One tab of the browser, and who sits before it."""

    def __init__(self, browser, handle):
        self.browser, self.handle = browser, handle

    def __getattr__(self, name):
        """Text of the element that is called so."""
        return self.at(f"#{name}").text

    def at(self, selector):
        from selenium.webdriver.common.by import By

        self.browser.switch_to.window(self.handle)
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def press(self, key):
        self.at("body").send_keys(key)

    def until(self, wanted):
        """Wait until `wanted(self)` is true."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, SECONDS, 0.05).until(lambda _: wanted(self), (self.status, self.count))

    def vote(self, key, number):
        """Vote by a key; what stood on the sides, once the page says that `number` pairs have a vote."""
        sides = self.a, self.b
        self.press(key)
        self.until(lambda tab: tab.count.startswith(f"{number} of "))
        self.until(lambda tab: (tab.a, tab.b) != sides or tab.at("#done").is_displayed())
        return sides


def test_two_tabs_and_a_crash(browser, tmp_path):
    place, output = comparing.pairs(tmp_path / "in", 6), tmp_path / "out.jsonl.gz"
    chosen = {}
    with comparing.comparing(place, "-o", output) as (process, address):
        port = int(address.rstrip("/").rpartition(":")[2])
        browser.get(address)
        one = Tab(browser, browser.current_window_handle)
        browser.switch_to.new_window("tab")
        browser.get(address)
        two = Tab(browser, browser.current_window_handle)
        for tab in (one, two):
            tab.until(lambda tab: tab.at("#question").is_displayed())
        assert one.a not in (two.a, two.b), "two tabs show two pairs"
        assert one.count == "0 of 6 pairs have a vote" and one.prompt.splitlines()[:2] == ["Instruction", "say"]
        a, b = one.vote("a", 1)
        chosen[frozenset((a, b))] = a
        a, b = two.a, two.b
        two.at('[data-choice="b"]').click()
        two.until(lambda tab: tab.count.startswith("2 of 6"))
        chosen[frozenset((a, b))] = b
        process.send_signal(signal.SIGKILL)
        process.wait()
        tied = one.a, one.b
        one.press("t")
        one.until(lambda tab: "Your vote is kept here" in tab.status)
        assert not one.at('[data-choice="a"]').is_enabled(), "one vote at a time"
    with comparing.comparing(place, "-o", output, port=port):
        one.until(lambda tab: tab.count.startswith("3 of 6"))
        assert (one.a, one.b) != tied
        for number in (4, 5):
            a, b = one.vote("a", number)
            chosen[frozenset((a, b))] = a
        last = one.a, one.b
        two.until(lambda tab: (tab.a, tab.b) == last)  # the only pair left, once it has noticed
        one.vote("a", 6)
        two.until(lambda tab: tab.at("#done").is_displayed())
        assert "Another tab has voted" in two.status
        one.press("z")
        one.until(lambda tab: tab.at("#question").is_displayed())
        assert (one.a, one.b) == last
        assert one.at('[data-choice="a"]').get_attribute("aria-pressed") == "true"
        one.press("b")
        one.until(lambda tab: tab.at("#done").is_displayed())
        chosen[frozenset(last)] = last[1]
        two.at("body")
        browser.refresh()
        two.until(lambda tab: tab.at("#done").is_displayed())
        assert two.sum == "5 preferences, 1 without a difference, 0 skipped."
        loaded = browser.execute_script("return performance.getEntries().map(one => one.name)")
        assert not [name for name in loaded if "://" in name and not name.startswith((address, "blob:"))]
        faults = [line["message"] for line in browser.get_log("browser") if "ERR_CONNECTION" not in line["message"]]
        assert faults == []
    log = comparing.logged(output)
    assert [vote["choice"] for vote in log] == ["a", "b", "tie", "a", "a", "a", "b"]
    assert log[-1]["pair"] == log[-2]["pair"]
    found = {frozenset((c["text"], r["text"])): c["text"] for c, r in comparing.kept(output).values()}
    assert found == chosen and len(found) == 5


def test_sounds_are_played_by_keys_and_named(browser, tmp_path):
    place = comparing.pairs(tmp_path / "in", 1, heard=1)
    with comparing.comparing(place, "-o", tmp_path / "out.jsonl.gz") as (_, address):
        browser.get(address)
        tab = Tab(browser, browser.current_window_handle)
        tab.until(lambda tab: tab.at("#question").is_displayed())
        for side, key in (("a", "1"), ("b", "2")):
            player = tab.at(f"#{side} audio")
            assert player.get_attribute("aria-label") == f"Response {side.upper()}"
            tab.until(
                lambda _, player=player: float(player.get_property("duration") or 0) == pytest.approx(0.5, abs=0.01)
            )
            tab.press(key)
            tab.until(lambda _, player=player: player.get_property("currentTime") > 0)
        unnamed = "return [...document.querySelectorAll('button,audio,progress')].filter(one => !one.textContent.trim() && !one.ariaLabel && !one.getAttribute('aria-labelledby')).length"  # noqa: E501
        assert browser.execute_script(unnamed) == 0
