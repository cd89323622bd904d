"""One filled node and one Chromium for all tests of the page.

Playwright runs an event loop in this thread for as long as it is open: it must be closed before other modules begin.
"""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.support.served import ServedNode

from .filled import fill

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    node = ServedNode(tmp_path_factory.mktemp("page") / "data").start()
    try:
        fill(node)
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on PATH")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=chromium,
            headless=True,
            args=list(FLAGS),
            viewport={"width": 1280, "height": 900},
            timezone_id="Asia/Tokyo",  # times must be shown in UTC wherever the reader is
        )
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext, filled: ServedNode) -> Iterator[Page]:
    """The page of the filled node; at the end, no error was logged."""
    made = browser.new_page()
    errors: list[str] = []
    made.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.set_default_timeout(15_000)
    made.goto(f"http://{filled.http}/#topic=trades")
    made.wait_for_selector("#plot canvas")
    yield made
    made.close()
    assert errors == []
