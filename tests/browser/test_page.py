"""The page in a real Chromium: it shows what the API says, and asks what the reader chooses."""

import re
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page

from tests.support.served import ServedNode

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def asked(page: Page) -> dict[str, str]:
    """The parameters of the aggregate query whose answer is drawn."""
    href = page.locator("#asked a").get_attribute("href")
    assert href is not None
    return {name: values[0] for name, values in parse_qs(urlsplit(href).query).items()}


def drawn_points(page: Page) -> int:
    return int(page.locator("#plot").get_attribute("data-points") or -1)


def drag(page: Page, start: float, end: float) -> None:
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
    page.mouse.up()


def refresh(page: Page) -> None:
    """What the page does by itself every two seconds, now."""
    page.evaluate("() => window.dispatchEvent(new Event('resize'))")


def wait_until_asked(page: Page, name: str, *, other_than: str) -> None:
    page.wait_for_function(
        "([name, old]) => { const a = document.querySelector('#asked a');"
        " return a && new URL(a.href).searchParams.get(name) !== old; }",
        arg=[name, other_than],
    )


def test_topics_appear_with_their_records(page: Page) -> None:
    assert page.locator("#topics button span").all_text_contents() == ["empty.stream", "log-lines", "trades"]
    assert page.locator("#topics button small").all_text_contents() == ["0", "100", "4,500"]
    assert page.locator("#topics button[aria-current=true] span").inner_text() == "trades"
    assert page.title().startswith("trades")
    facts = page.locator("#facts").inner_text()
    assert "4,500" in facts
    assert "price double" in facts.replace("\n", " ")


def test_splits_are_drawn_on_the_axis_with_the_watermark(page: Page, filled: ServedNode) -> None:
    splits = filled.get_json("/api/v1/topics/trades/splits")["splits"]
    bars = page.locator("#splits g.split")
    assert bars.count() == len(splits) == 3
    assert [bars.nth(i).get_attribute("class") for i in range(3)] == ["split historic", "split historic", "split open"]
    boxes = [box for box in (bars.nth(i).locator("rect").bounding_box() for i in range(3)) if box is not None]
    first = min(split["first_ms"] for split in splits)
    last = max(split["last_ms"] for split in splits)
    left = min(box["x"] for box in boxes)
    width = max(box["x"] + box["width"] for box in boxes) - left
    for split, box in zip(splits, boxes, strict=True):
        assert box["x"] == pytest.approx(left + width * (split["first_ms"] - first) / (last - first), abs=2)
        assert box["x"] + box["width"] == pytest.approx(
            left + width * (split["last_ms"] - first) / (last - first), abs=2
        )
    mark = page.locator("#splits line.watermark").bounding_box()
    watermark = filled.get_json("/api/v1/topics/trades/watermark")["watermark"]
    assert mark is not None
    assert mark["x"] == pytest.approx(left + width * (watermark - first) / (last - first), abs=3)
    labels = page.locator("#splits svg > text").all_text_contents()
    assert labels[0].startswith("Jan 5 ")  # in UTC, though the browser is in Tokyo
    assert len(labels) >= 3


def test_the_plot_has_as_many_points_as_the_api_gave(page: Page, filled: ServedNode) -> None:
    href = page.locator("#asked a").get_attribute("href")
    assert href is not None
    rows = filled.get_json(href)["rows"]
    assert drawn_points(page) == len(rows)
    assert 100 < len(rows) <= 401
    assert f"gave {len(rows)} windows" in page.locator("#asked").inner_text()
    assert page.locator("#plot canvas").count() == 2


def test_zooming_asks_for_the_range_and_back(page: Page, filled: ServedNode) -> None:
    whole = asked(page)
    drag(page, 0.5, 0.6)
    wait_until_asked(page, "from", other_than=whole["from"])
    zoomed = asked(page)
    span = int(whole["to"]) - int(whole["from"])
    assert int(zoomed["from"]) == pytest.approx(int(whole["from"]) + span * 0.5, abs=span * 0.01)
    assert int(zoomed["to"]) == pytest.approx(int(whole["from"]) + span * 0.6, abs=span * 0.01)
    assert zoomed["every"] != whole["every"]
    assert page.locator("#splits rect.shown").count() == 1
    assert "range=" in page.url
    page.locator("#out").click()
    wait_until_asked(page, "from", other_than=zoomed["from"])
    assert int(asked(page)["to"]) - int(asked(page)["from"]) == pytest.approx(span * 0.2, rel=0.05)
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.hash.includes('range')")
    page.locator("#splits g.split").nth(1).click()
    page.wait_for_selector("#splits rect.shown")
    split = filled.get_json("/api/v1/topics/trades/splits")["splits"][1]
    page.wait_for_function(
        "from => new URL(document.querySelector('#asked a').href).searchParams.get('from') === from",
        arg=str(split["first_ms"]),
    )


def test_the_reader_chooses_attribute_and_window_and_a_link_remembers(page: Page, filled: ServedNode) -> None:
    page.locator("#attribute").select_option("qty")
    wait_until_asked(page, "agg", other_than=asked(page)["agg"])
    page.locator("#every").select_option("15m")
    wait_until_asked(page, "every", other_than="1m")
    assert asked(page)["agg"] == "count,mean(qty),min(qty),max(qty)"
    assert asked(page)["every"] == "15m"
    link, points = page.url, drawn_points(page)
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("#plot canvas")
    assert page.locator("#attribute").input_value() == "qty"
    assert (asked(page)["every"], drawn_points(page)) == ("15m", points)


def test_the_window_under_the_pointer_is_read_out(page: Page) -> None:
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.wait_for_function("() => document.querySelector('#readout').textContent.includes('events')")
    said = page.locator("#readout").inner_text()
    assert re.search(r"2026-01-05 \d\d:\d\d:\d\dZ\s+min [\d.]+ · mean [\d.]+ · max [\d.]+ · \d+ events", said), said


def test_topics_without_schema_or_events_are_shown_too(page: Page) -> None:
    page.locator("#topics button", has_text="log-lines").click()
    page.wait_for_function("() => document.querySelector('#name').textContent === 'log-lines'")
    page.wait_for_function("() => document.querySelector('#asked').textContent.includes('log-lines')")
    assert "records are bytes" in page.locator("#facts").inner_text()
    assert page.locator("#plot canvas").count() == 1
    assert int(asked(page)["to"]) - int(asked(page)["from"]) == 99 * 60_000 + 1
    page.locator("#topics button", has_text="empty.stream").click()
    page.wait_for_function("() => document.querySelector('#plot').textContent.includes('Nothing to draw yet')")
    assert "No events yet" in page.locator("#splits").inner_text()


def test_new_events_appear_by_themselves(page: Page, filled: ServedNode) -> None:
    page.locator("#topics button", has_text="log-lines").click()
    page.wait_for_function("() => document.querySelector('#asked').textContent.includes('log-lines')")
    body = {"records": [{"value": "late", "timestamp": 1_767_605_400_000 + 5}]}
    filled.post_json("/api/v1/topics/log-lines/records", body)
    page.wait_for_selector("#topics button:has-text('101')")


def test_an_error_of_the_api_is_shown_and_goes_away(page: Page) -> None:
    # In the page, not on the wire: of a refusal from the network the browser logs an error of its own.
    page.evaluate(
        "() => { window.real = window.fetch;"
        " const problem = {title: 'NOT_LEADER_OR_FOLLOWER', detail: 'the leader moved'};"
        " window.fetch = async () => new Response(JSON.stringify(problem), {status: 503}); }"
    )
    refresh(page)
    page.wait_for_selector("#problem:not([hidden])")
    assert page.locator("#problem").inner_text() == "NOT_LEADER_OR_FOLLOWER: the leader moved"
    page.evaluate("() => { window.fetch = async () => { throw new TypeError('gone'); }; }")
    refresh(page)
    page.wait_for_function("() => document.querySelector('#problem').textContent.includes('does not answer')")
    assert page.locator("#plot canvas").count() == 2  # what was shown stays
    page.evaluate("() => { window.fetch = window.real; }")
    refresh(page)
    page.wait_for_selector("#problem", state="hidden")


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_reaches_over_the_edge(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("width => document.querySelector('#splits svg').clientWidth < width", arg=width)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    texts = page.locator("#splits svg > text")
    boxes = [box for box in (texts.nth(i).bounding_box() for i in range(texts.count())) if box is not None]
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] < right["x"], "labels of the time axis overlap"
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
