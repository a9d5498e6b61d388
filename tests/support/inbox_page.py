"""The sandbox's page of the agent's inbox, as a person at a browser uses it."""

from collections.abc import Callable

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

WAIT = 30


class Page:
    """The inbox in a browser; what is looked for by CSS is waited for."""

    def __init__(self, chrome: Chrome, url: str) -> None:
        self.chrome = chrome
        self.url = f"{url}/_sandbox/inbox"

    def open(self, conversation_id: str = "") -> None:
        self.chrome.get("about:blank")
        self.chrome.get(f"{self.url}#{conversation_id}")

    def until(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.chrome, WAIT, 0.05, [WebDriverException]).until(lambda _: condition())

    def all(self, css: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        return [each.text for each in self.all(css)]

    def one(self, css: str) -> WebElement:
        self.until(lambda: len([each for each in self.all(css) if each.is_displayed()]) == 1)
        return next(each for each in self.all(css) if each.is_displayed())

    def named(self, css: str, text: str) -> WebElement:
        self.until(lambda: text in self.texts(css))
        return next(each for each in self.all(css) if each.text == text)

    def type(self, css: str, text: str) -> None:
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    def card(self) -> dict[str, str]:
        return dict(zip(self.texts("#fields dt"), self.texts("#fields dd"), strict=True))

    def answered(self, path: str) -> int:
        """How many of the page's own calls on addresses that end so were answered."""
        script = "return performance.getEntriesByType('resource').filter(e => e.name.endsWith(arguments[0])).length"
        return int(self.chrome.execute_script(script, path))
