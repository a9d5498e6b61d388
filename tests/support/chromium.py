"""A headless Chromium of Debian's, with a profile of its own that is gone afterwards."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # its own, which root may not use
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,900",
)


def chromium_is_there() -> bool:
    """Whether a browser can be started here."""
    return all(map(shutil.which, ("chromium", "chromedriver")))


@contextmanager
def chromium(*arguments: str) -> Iterator[Chrome]:
    """Run a browser while the context lasts; what its pages complain of is in `get_log("browser")`."""
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", *arguments):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield browser
        finally:
            browser.quit()
