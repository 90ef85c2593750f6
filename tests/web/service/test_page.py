"""The page in a real browser: by drop, paste and file dialog, on a phone, with broken files, for those who cannot see it."""

import io
import re
from base64 import b64encode
from pathlib import Path

import pytest
from PIL import Image
from support import sky_library
from support.browsers import chromium, until
from support.serving import TOKEN, served

from orientd.orientation import from_turn, inverse

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
READY = "document.querySelector('#live').textContent"
GIVE = """([files, event]) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    data.items.add(new File([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))], name, { type }));
  }
  const more = event === "paste" ? { clipboardData: data } : { dataTransfer: data };
  const kind = event === "paste" ? ClipboardEvent : DragEvent;
  document.body.dispatchEvent(new kind(event, { bubbles: true, cancelable: true, ...more }));
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(model, tmp_path_factory):
    """One service for all; each test has a page of its own."""
    with served("--model", model, cwd=tmp_path_factory.mktemp("service")) as process:
        yield f"http://127.0.0.1:{process.port}/"


@pytest.fixture
def opened(browser, address):
    """Pages; none may have complained of anything but answers of the statuses that a test expects."""
    pages, errors, expected = [], [], set()

    def complain(message):
        status = re.search(r"status of (\d+)", message.text)
        if message.type in ("error", "warning") and not (status and int(status[1]) in expected):
            errors.append(message.text)

    def open_page(path="", expect=(), at=address, **context):
        expected.update(expect)
        pages.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        page = pages[-1].new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(at + path)
        return page

    yield open_page
    for context in pages:
        context.close()
    assert errors == []


@pytest.fixture
def sky(tmp_path):
    """Draw a landscape that needs a turn, as a file."""

    def draw(name, turn=0, by_tag=False, kind="JPEG"):
        return sky_library.draw(tmp_path / "sky" / name, turn, by_tag=by_tag, kind=kind)

    return draw


def give(page, event, *paths, kind="image/jpeg"):
    page.evaluate(GIVE, [[[path.name, kind, b64encode(path.read_bytes()).decode()] for path in paths], event])


def cards(page):
    return page.locator(".picture:not(.waiting)")


def shown_upright(page, number=0):
    """True if the sky is above in what is to be seen of a card."""
    stage = page.locator(".stage").nth(number)
    image = Image.open(io.BytesIO(stage.locator(".turning").screenshot())).convert("L")
    width, height = image.size
    above, below = (
        image.crop(box).resize((1, 1)).getpixel((0, 0)) for box in ((0, 0, width, height // 2), (0, height // 2, width, height))
    )
    return above > below + 50


def test_pictures_are_dropped_and_seen_upright(opened, sky):
    page = opened()
    give(page, "dragenter")
    assert page.evaluate("document.body.className") == "over"
    give(page, "drop", sky("a.jpg", 90), sky("b.jpg", 0), sky("c.jpg", 270, by_tag=True))
    until(page, READY, "3 pictures: 2 to be turned, 1 upright")
    assert page.evaluate("document.body.className") == "some"
    assert page.locator(".picture h3").all_text_contents() == ["a.jpg", "b.jpg", "c.jpg"]
    assert page.locator(".verdict").nth(0).inner_text().startswith("Turn it right")
    assert page.locator(".verdict").nth(1).inner_text().startswith("Upright as it is")
    until(page, "[...document.querySelectorAll('.turning img')].every((image) => image.naturalWidth)", True)
    page.wait_for_timeout(400)  # the turn is drawn in steps
    assert [shown_upright(page, number) for number in range(3)] == [True] * 3
    button = page.locator(".picture").nth(0).get_by_role("button", name="As it was sent")
    button.click()
    page.wait_for_timeout(400)
    assert (button.get_attribute("aria-pressed"), shown_upright(page)) == ("true", False)
    button.click()
    page.wait_for_timeout(400)
    assert (button.get_attribute("aria-pressed"), shown_upright(page)) == ("false", True)


def test_the_four_turns_stand_as_bars_the_most_likely_first_and_the_time_below(opened, sky):
    page = opened()
    give(page, "drop", sky("a.jpg", 180))
    until(page, READY, "1 picture: 1 to be turned")
    rows = page.locator(".bars li")
    assert rows.count() == 4
    assert rows.nth(0).inner_text().startswith("upside down")
    shares = [float(text.strip("< %")) for text in page.locator(".bars .share").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    widths = page.evaluate("[...document.querySelectorAll('.bars .track div')].map((bar) => bar.getBoundingClientRect().width)")
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 10 * widths[1]
    assert re.fullmatch(
        r"Judged in \d+\.\d\d s, after waiting \d+\.\d\d s; \d+\.\d\d s with .*", page.locator(".time").inner_text()
    )


def test_one_is_pasted(opened, sky):
    page = opened()
    give(page, "paste", sky("image.png", 90, kind="PNG"), kind="image/png")
    until(page, READY, "1 picture: 1 to be turned")


def test_files_are_chosen_by_keyboard(opened, sky):
    page, choosers = opened(), []
    # Playwright asks the browser for it in its own time, so before any key is pressed.
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    with page.expect_event("filechooser"):
        page.keyboard.press("Space")
    choosers[0].set_files([sky("a.jpg", 90), sky("b.jpg", 0)])
    until(page, READY, "2 pictures: 1 to be turned, 1 upright")
    page.get_by_role("button", name="Clear").click()
    assert (page.locator(".picture").count(), page.locator("#tally").is_visible()) == (0, False)


def test_a_broken_file_is_told_and_the_others_go_on(opened, sky, tmp_path):
    broken, text, good = sky("broken.jpg"), tmp_path / "notes.txt", sky("good.jpg", 90)
    broken.write_bytes(broken.read_bytes()[:900])
    text.write_text("no picture")
    page = opened(expect=(415, 422))
    give(page, "drop", broken, text, good)
    until(page, READY, "3 pictures: 1 to be turned, 2 not readable")
    first, second = page.locator(".broken .told").all_inner_texts()
    assert "Its JPEG data is damaged" in first
    assert "reason: damaged" in first
    assert "reason: unknown_content" in second


def test_forty_at_once(opened, sky):
    page = opened(expect=(429,))
    paths = [sky(f"{number:02}.jpg", (0, 90, 180, 270)[number % 4]) for number in range(40)]
    give(page, "drop", *paths)
    until(page, READY, "40 pictures: 30 to be turned, 10 upright")
    assert page.locator(".picture h3").all_text_contents() == [path.name for path in paths]
    assert page.locator(".verdict.error").count() == 0


class Busy:
    """Stands between the page and the service: answers with `answers`, one after another, then lets requests pass."""

    def __init__(self, page, *answers):
        self.left, self.asked = list(answers), 0
        page.clock.install(time=0)
        page.clock.pause_at(1000)
        page.route("**/v1/orientation*", self)

    def __call__(self, route):
        self.asked += 1
        if self.left:
            status, headers, body = self.left.pop(0)
            route.fulfill(status=status, headers=headers, body=body)
        else:
            route.continue_()


TOO_BUSY = '{"error": "it took too long: ask again when less is asked", "reason_code": "too_busy"}'
SAID = "document.querySelector('.told').textContent"


def test_a_busy_service_is_asked_again_when_it_says(opened, sky):
    page = opened(expect=(429, 503))
    busy = Busy(page, (503, {"Retry-After": "5"}, TOO_BUSY), (429, {"Retry-After": "1"}, TOO_BUSY))
    give(page, "drop", sky("a.jpg", 90))
    until(page, f"{SAID}.includes('The service is busy: asked again in 5 s')", True)
    page.clock.run_for(4_900)
    assert busy.asked == 1
    page.clock.run_for(1_500)
    until(page, f"{SAID}.includes('asked again in 2 s')", True)
    assert busy.asked == 2
    page.clock.run_for(2_600)
    until(page, READY, "1 picture: 1 to be turned")
    assert busy.asked == 3


@pytest.mark.parametrize("body", [TOO_BUSY, "<h1>Service Unavailable</h1>"], ids=["by the service", "by a proxy"])
def test_a_service_that_stays_busy_is_left_alone_until_a_person_asks_again(opened, sky, body):
    page = opened(expect=(503,))
    busy = Busy(page, *[(503, {}, body)] * 5)
    give(page, "drop", sky("a.jpg", 90))
    for seconds in (1, 2, 4, 8):
        until(page, f"{SAID}.includes('asked again in {seconds} s')", True)
        page.clock.run_for(1_300 * seconds)
    until(page, READY, "1 picture: 1 not looked at")
    page.clock.run_for(600_000)
    assert busy.asked == 5
    said = page.locator(".broken .told").inner_text()
    assert ("It took too long" if body is TOO_BUSY else "The service answered with status 503.") in said
    page.get_by_role("button", name="Try again").click()
    until(page, READY, "1 picture: 1 to be turned")
    assert (busy.asked, page.locator(".broken").count()) == (6, 0)


def test_a_service_that_names_an_hour_is_not_asked_before(opened, sky):
    page = opened(expect=(503,))
    busy = Busy(page, (503, {"Retry-After": "3600"}, TOO_BUSY))
    give(page, "drop", sky("a.jpg"))
    until(page, READY, "1 picture: 1 not looked at")
    assert busy.asked == 1
    assert page.get_by_role("button", name="Try again").is_visible()


def test_what_the_browser_cannot_show_is_shown_all_the_same(opened, sky):
    page = opened()
    give(page, "drop", sky("scan.tif", 90, kind="TIFF"), kind="image/tiff")
    until(page, READY, "1 picture: 1 to be turned")
    until(page, "document.querySelector('.turning img').naturalWidth > 0", True)
    page.wait_for_timeout(400)
    assert shown_upright(page)


def test_a_png_is_seen_as_it_stores_it(opened, tmp_path):
    """Browsers do not agree on what a PNG stores of its orientation."""
    image, exif = sky_library.landscape().rotate(90, expand=True), Image.Exif()
    exif[sky_library.ORIENTATION] = inverse(from_turn(180))
    image.save(tmp_path / "a.png", exif=exif)
    page = opened()
    give(page, "drop", tmp_path / "a.png", kind="image/png")
    until(page, READY, "1 picture: 1 to be turned")
    until(page, "document.querySelector('.turning img').naturalWidth > 0", True)
    page.wait_for_timeout(400)
    assert shown_upright(page)


def test_the_upright_picture_is_downloaded(opened, sky):
    page = opened()
    give(page, "drop", sky("a b.jpeg", 90))
    until(page, READY, "1 picture: 1 to be turned")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download upright").click()
    assert download.value.suggested_filename == "a b-upright.jpg"
    assert sky_library.shown_turned(Path(download.value.path())) == 0


def test_a_phone(opened, sky):
    page = opened(**PHONE)
    page.set_input_files("#files", [sky("a long name that does not fit into one line of a phone.jpg", 90), sky("b.jpg", 0)])
    until(page, READY, "2 pictures: 1 to be turned, 1 upright")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.wait_for_timeout(400)
    assert (
        page.evaluate("Math.max(...[...document.querySelectorAll('.picture *')].map((one) => one.getBoundingClientRect().right))")
        <= 390
    )
    buttons = "[...document.querySelectorAll('button, .button')].filter((one) => one.offsetWidth && one.offsetHeight < 34).length"
    assert page.evaluate(buttons) == 0, "fingers are broad"


def test_names_are_text_and_never_html(opened, sky):
    page = opened()
    give(page, "drop", sky("<img src=x onerror=document.title='hacked'>.jpg", 90))
    until(page, READY, "1 picture: 1 to be turned")
    assert page.locator(".picture h3").inner_text() == "<img src=x onerror=document.title='hacked'>.jpg"
    assert page.title() == "Which way is up? – orientd"


def test_faces_are_framed_where_they_are(opened, browser, tmp_path):
    """By the model that comes with orientd."""
    from support import seen_by_witnesses

    picture = seen_by_witnesses.people()
    Image.fromarray(picture).rotate(90, expand=True).save(tmp_path / "people.jpg", quality=95)
    with served(cwd=tmp_path) as process:
        page = opened(at=f"http://127.0.0.1:{process.port}/")
        give(page, "drop", tmp_path / "people.jpg")
        until(page, READY, "1 picture: 1 to be turned")
        until(page, "document.querySelector('.turning img').naturalWidth > 0", True)
        page.wait_for_timeout(400)
        assert page.locator(".seen.face").count() == 3
        boxes = [box.bounding_box() for box in page.locator(".seen.face").all()]
        stage = page.locator(".turning").bounding_box()
        assert stage["width"] > stage["height"], "it is shown upright"
        for box in boxes:
            assert box["y"] < stage["y"] + stage["height"] / 2, "heads are above"
            assert stage["x"] <= box["x"] <= stage["x"] + stage["width"]
        said = page.locator(".heard").inner_text()
        assert "3 faces, heads left" in said
        page.context.close()


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_nothing_keeps_out_who_cannot_see_or_point(opened, sky, context):
    from axe_playwright_python.sync_playwright import Axe

    def faults(page):
        found = Axe().run(page).response["violations"]
        return [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    broken = sky("broken.jpg")
    broken.write_bytes(broken.read_bytes()[:900])
    page = opened(expect=(422,), bypass_csp=True, **context)  # axe is put into the page, which lets nothing in
    assert faults(page) == []
    page.set_input_files("#files", [sky("a.jpg", 90), sky("b.jpg", 0), broken])
    until(page, READY, "3 pictures: 1 to be turned, 1 upright, 1 not readable")
    page.wait_for_timeout(400)
    assert faults(page) == []
    reference = opened("docs", bypass_csp=True, **context)
    until(reference, "document.body.dataset.ready", "yes")
    reference.locator("summary").nth(4).click()
    assert faults(reference) == []
    assert reference.evaluate("document.documentElement.scrollWidth") <= reference.viewport_size["width"]
    assert page.get_attribute("#live", "role") == "status", "a screen reader is told the numbers"


def test_a_token_is_asked_for_once_and_not_kept(opened, sky, model, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "service").mkdir()
    with served("--model", model, "--token-file", tmp_path / "token", cwd=tmp_path / "service") as process:
        page = opened(at=f"http://127.0.0.1:{process.port}/", expect=(401,))
        give(page, "drop", sky("a.jpg", 90), sky("b.jpg", 180), sky("c.jpg", 0))
        for said in ("not the token at all", TOKEN):
            until(page, "document.querySelector('#locked').open", True)
            page.fill("#token", said)
            page.get_by_role("button", name="Go on").click()
        until(page, READY, "3 pictures: 2 to be turned, 1 upright")
        assert (
            page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length + document.cookie.length") == 0
        )
        page.context.close()
