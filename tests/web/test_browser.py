"""The page in a real browser: judged by keys, applied, undone; on a phone, by two at once, and for those who cannot see it."""

import re
from pathlib import Path

import pytest
from support import report_rows, sky_library
from support.browsers import Page, chromium, review, until
from support.report_rows import FOUND

from orientd.records import Verdict
from orientd.report import verdicts
from orientd.web import serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """Pages; none may have complained of anything."""
    pages = []

    def open_page(address, **context):
        pages.append(Page(browser, address, **context))
        return pages[-1]

    yield open_page
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.close()
    assert errors == []


@pytest.fixture
def plan(orientd, photos, tmp_path):
    """Of 24 photos 12 are sideways or upside down."""
    sky_library.library(photos, 24)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv", "-q") == 0
    return tmp_path / "plan.csv"


def hashes(folder):
    return {path: found[0] for path, found in sky_library.snapshot(folder).items()}


def decided(page, text):
    until(page, "document.querySelector('#count').textContent", text)


def saved(page):
    """Until the server has answered all that was said."""
    until(page, "document.querySelector('#saving').hidden", True)


def test_a_library_is_scanned_judged_by_keys_applied_and_undone(opened, orientd, photos, tmp_path):
    needs = sky_library.library(photos, 300)
    before = hashes(photos)
    with review(photos, "--report", tmp_path / "plan.csv", cwd=tmp_path) as address:
        page = opened(address)
        decided(page.page, "0 of 150 decided")
        names = {}
        for number in range(60):
            names[page.current] = what = {7: "k", 8: "r", 9: "s"}.get(number % 10, "a")
            page.press(what, *(["ArrowRight"] if what == "r" else []))
        decided(page.page, "54 of 150 decided")
        saved(page.page)
        page.page.reload()
        page.page.wait_for_selector(".card h3")
        decided(page.page, "54 of 150 decided")
        assert hashes(photos) == before
        page.page.click("#apply")
        until(page.page, "document.activeElement.closest('dialog')?.id", "ask-apply")
        page.page.click("#apply-yes")
        until(page.page, "document.querySelector('#job-undo').checkVisibility()", True)
        told = page.page.inner_text("#job-text")
        shown = {Path(path).name: sky_library.shown_turned(path) for path in needs}
        for path, turn in needs.items():
            name = Path(path).name
            wanted = 0 if names.get(name) == "a" else turn
            if names.get(name) == "r":  # what was seen was upright, and was turned right from there
                wanted = 270
                assert turn == 270 or hashes(photos)[path] != before[path]
            assert shown[name] == wanted, (name, names.get(name))
        number = sum(hashes(photos)[path] != before[path] for path in before)
        assert told == f"{number} photos turned (run 1)."
        page.page.click("#job-undo")
        page.page.click("#ask-undo button[value=yes]")
        until(page.page, "document.querySelector('#job-text').textContent", f"{number} photos with their old bytes again.")
        assert hashes(photos) == before
    assert orientd("undo", "1", "-y") == 2, "nothing is left to take back"
    assert len((tmp_path / "plan.csv.verdicts").read_text().splitlines()) == 60


def test_keys(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        page = opened(address)
        first = page.current
        page.press("ArrowRight", "ArrowLeft", "a")
        assert page.current != first
        page.press("ArrowLeft")
        assert (page.current, page.state()) == (first, "Accepted")
        page.press("z")
        until(page.page, "document.querySelector('.card.current .state').checkVisibility()", False)
        turned = "document.querySelector('.card.current img').dataset.turn"
        was = page.page.evaluate(turned)
        page.page.keyboard.down("Space")
        assert page.page.evaluate(turned) != was, "as it is now, as long as the key is held"
        page.page.keyboard.up("Space")
        assert int(page.page.evaluate(turned)) % 360 == int(was) % 360
        page.press("Enter")
        assert page.page.inner_text("#large-name") == first
        page.press("k")
        assert page.page.inner_text("#large-name") != first
        page.press("Escape", "ArrowLeft")
        assert page.state() == "Kept as it is"
        page.press("Home", "u", "u")
        saved(page.page)
        page.press("ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight")
        assert page.page.locator(".card.chosen").count() == 3
        page.press("a")
        until(page.page, "document.querySelectorAll('.card.chosen .state.accept').length", 3)
        page.press("Escape")
        assert page.page.locator(".card.chosen").count() == 0
        page.press("n")
        assert page.state() == ""
        page.press("End")
        assert page.page.get_attribute(".card.current", "aria-posinset") == "12"
        page.press("?")
        assert page.page.is_visible("#keys")
        page.press("a", "Escape")
        assert page.state() == "", "what is typed at a dialog judges no photo"


def test_a_key_in_the_large_view_judges_the_photo_that_is_seen_and_no_range(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        page = opened(address)
        page.press("Shift+ArrowRight", "Shift+ArrowRight")
        assert page.page.locator(".card.chosen").count() == 3
        seen = page.current
        page.press("Enter")
        until(page.page, "document.querySelector('#large').open", True)
        assert page.page.locator(".card.chosen").count() == 0
        assert page.page.inner_text("#large-name") == seen
        page.press("k")
        saved(page.page)
        decided(page.page, "1 of 12 decided")
    assert [Path(path).name for path, _ in verdicts.read(str(plan))] == [seen]


def test_a_plan_written_anew_leaves_the_large_view_at_its_photo_or_closes_it(opened, plan):
    def write_anew_without(name):
        lines = plan.read_text().splitlines()
        plan.write_text("\n".join(line for line in lines if name not in line) + "\n")

    with review(plan, cwd=plan.parent) as address:
        page = opened(address)
        first = page.current
        page.press("ArrowRight", "ArrowRight", "Enter")
        until(page.page, "document.querySelector('#large').open", True)
        seen = page.page.inner_text("#large-name")
        write_anew_without(first)
        decided(page.page, "0 of 11 decided")
        until(page.page, "/2 of 11/.test(document.querySelector('#large-text').textContent)", True)
        assert (page.page.inner_text("#large-name"), page.current) == (seen, seen)
        write_anew_without(seen)
        decided(page.page, "0 of 10 decided")
        assert not page.page.evaluate("document.querySelector('#large').open"), "it is not judged blindly"
        now = page.current
        page.press("k")
        saved(page.page)
    assert [Path(path).name for path, _ in verdicts.read(str(plan))] == [now]


def test_many_are_accepted_at_once_and_taken_back(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        page = opened(address)
        page.press("k", "m")
        page.page.fill("#ask-many input[name=above]", "0")
        page.page.click("#ask-many button[value=yes]")
        decided(page.page, "12 of 12 decided")
        assert page.page.locator(".state.keep").count() == 1, "what was decided stays"
        page.page.click("#undo")
        decided(page.page, "1 of 12 decided")


def test_filters(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        page = opened(address)
        page.page.select_option("select[name=show]", "keep")
        decided(page.page, "0 of 12 decided")
        folders = page.page.locator("select[name=folder] option").all_inner_texts()
        assert folders[0] == "All"
        assert folders[1].endswith("photos/0 (4)")
        page.page.select_option("select[name=folder]", index=1)
        decided(page.page, "0 of 4 decided")
        page.page.select_option("select[name=folder]", index=0)
        page.page.select_option("select[name=show]", "all")
        page.page.select_option("select[name=order]", "folder")
        decided(page.page, "0 of 24 decided")
        until(page.page, "/photos.0 · \\d+ \\w+ \\d{4} +8$/.test(document.querySelector('#titles h2').textContent)", True)


def test_two_pages_hear_of_each_other(opened, plan):
    with review(plan, cwd=plan.parent) as address, review(plan, cwd=plan.parent) as elsewhere:
        one, other, third = opened(address), opened(address), opened(elsewhere)
        first = one.current
        one.press("a")
        for page in (other, third):
            until(page.page, "document.querySelector('.card .state').textContent", "Accepted")
            decided(page.page, "1 of 12 decided")
        third.press("k")
        until(one.page, "document.querySelector('.card .state').textContent", "Kept as it is")
        one.press("z")
        saved(one.page)
        one.press("Home")
        assert (one.current, one.state()) == (first, "Kept as it is"), "what another page said is not taken back"


def test_a_phone(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        page = opened(address, **PHONE)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert (
            page.page.evaluate(
                "Math.max(...[...document.querySelectorAll('.card')].map(card => card.getBoundingClientRect().right))"
            )
            <= 390
        )
        buttons = "[...document.querySelectorAll('.card:first-of-type button')]"
        small = f"{buttons}.filter(button => button.offsetWidth < 34 || button.offsetHeight < 34).length"
        assert page.page.evaluate(small) == 0, "fingers are broad"
        page.page.tap(".card >> nth=0 >> [data-do=accept]")
        page.page.tap(".card >> nth=1 >> [data-do=keep]")
        decided(page.page, "2 of 12 decided")
        page.page.tap(".card >> nth=1 >> .frame")
        assert page.page.is_visible("#large")
        assert page.page.evaluate("document.querySelector('#large').scrollWidth") <= 390
        page.page.tap("#large [data-close]")


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_nothing_keeps_out_who_cannot_see_or_point(opened, plan, context):
    from axe_playwright_python.sync_playwright import Axe

    def faults():
        found = Axe().run(page.page).response["violations"]
        return [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    with review(plan, cwd=plan.parent) as address:
        page = opened(address, bypass_csp=True, **context)  # axe is put into the page, which lets nothing in
        page.press("a", "k", "s")
        saved(page.page)
        assert faults() == []
        for opening, dialog in (("Enter", "#large"), ("m", "#ask-many"), ("?", "#keys")):
            page.press(opening)
            page.page.wait_for_selector(dialog)
            assert faults() == [], dialog
            page.press("Escape")
        page.page.click("#apply")
        assert faults() == []
        page.page.click("#apply-yes")
        until(page.page, "document.querySelector('#job-undo').checkVisibility()", True)
        assert faults() == []


def test_light_and_dark(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        colors = [
            opened(address, color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
            for scheme in ("light", "dark")
        ]
    light, dark = (sum(map(int, re.findall(r"\d+", color))) for color in colors)
    assert light > 600
    assert dark < 150


def test_what_a_screen_reader_is_told(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        page = opened(address)
        label = page.page.get_attribute(".card.current", "aria-label")
        assert re.fullmatch(r"\d+\.jpg, proposal, turn (right|left|upside down), \d+(\.\d)? %", label)
        assert page.page.evaluate("document.activeElement.className") == "card current"
        assert page.page.get_attribute(".card.current", "aria-setsize") == "12"
        assert page.page.get_by_role("feed").get_by_role("article").count() == page.page.locator(".card").count() > 4
        page.press("a")
        assert re.fullmatch(r"Accepted: \d+\.jpg\. 1 of 12 decided", page.page.inner_text("#live"))
        page.press("Tab")
        assert page.page.evaluate("document.activeElement.dataset.do") == "accept"
        page.press("Tab", "Enter")
        decided(page.page, "2 of 12 decided")


def test_the_token_is_gone_from_the_address_and_a_file_leads_there(opened, plan):
    with review(plan, cwd=plan.parent) as address:
        assert opened(address).page.url == address.partition("?")[0]
        with serve.doorway(address) as path:
            assert opened(path.as_uri()).page.url == address.partition("?")[0]


def test_names_are_text_and_never_html(opened, orientd, photos, tmp_path):
    names = [
        "<img src=x onerror=document.title='hacked'>.jpg",
        "<script>document.title='hacked'<\uff0fscript>.jpg",
        "&lt;b&gt;\"'.jpg",
        "a\u202egpj.jpg",
    ]
    for seed, name in enumerate(names):
        sky_library.draw(photos / "<b>folder<\uff0fb>" / name, 90, seed=seed)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv", "-q") == 0
    with review(tmp_path / "plan.csv", cwd=tmp_path) as address:
        page = opened(address)
        shown = set(page.page.locator(".card h3 span").all_inner_texts())
        assert shown == {name.replace("\u202e", "\\u202e") for name in names}
        page.press("Enter", "Escape", "m", "Escape")
        page.page.select_option("select[name=order]", "folder")
        assert page.page.title() == "Review – orientd"
        assert page.page.locator("main b, main script, .meta img").count() == page.page.locator(".meta h3 b").count()


def test_of_thousands_only_those_that_can_be_seen_are_there(opened, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    rows = [FOUND._replace(path=str(path), decision=Verdict.UNSURE, sha256=f"{number:064x}") for number in range(5000)]
    with review(report_rows.write(str(tmp_path / "plan.csv"), *rows), photos, cwd=tmp_path) as address:
        page = opened(address)
        decided(page.page, "0 of 5,000 decided")
        assert page.page.locator(".card").count() < 60
        page.press("End")
        assert page.page.get_attribute(".card.current", "aria-posinset") == "5000"
        until(page.page, "document.querySelectorAll('.card.current .frame img.there').length", 1)
        page.page.evaluate("document.querySelector('main').scrollTop = 200000")
        until(page.page, "document.querySelectorAll('.card:not(.current) .frame img.there').length > 3", True)
        assert page.page.locator(".card").count() < 60
        page.press("PageUp", "ArrowUp")
        assert int(page.page.get_attribute(".card.current", "aria-posinset")) < 5000


def test_broken_photos_say_why(browser, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    path.write_bytes(path.read_bytes()[:900])
    with review(
        report_rows.write(str(tmp_path / "plan.csv"), FOUND._replace(path=str(path)), FOUND._replace(path=str(photos / "b.jpg"))),
        photos,
        cwd=tmp_path,
    ) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".none >> nth=1")
        told = page.locator(".none").all_inner_texts()
        page.close()
    assert ["vanished" in text or "damaged" in text for text in told] == [True, True], told
