"""The page with photos of Immich in a real browser: shown as they would be, turned, taken back, and one of them gone."""

import pytest
from support import fake_immich
from support.browsers import chromium, review, until
from support.server_photos import landscape

from orientd.errors import ExitCode

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


SHOWN = """Object.fromEntries([...document.querySelectorAll('.card')].map(card => {
    const image = card.querySelector('img'), is_wide = image.naturalWidth > image.naturalHeight;
    return [card.querySelector('h3 span').textContent, image.classList.contains('there') && [image.dataset.turn % 360, is_wide]];
}))"""


def test_photos_of_a_server_are_shown_turned_and_taken_back(browser, orientd, fake, running, key_file, tmp_path):
    lying, upside_down, gone = (fake.add(landscape(turn, seed), f"{seed}.jpg") for seed, turn in enumerate((90, 180, 270)))
    given = ("--url", running.url, "--key-file", key_file, "--name", "home", "-q", "--report", tmp_path / "plan.csv")
    assert orientd("immich", "scan", *given) == ExitCode.OK
    del fake.photos[gone]
    with review(tmp_path / "plan.csv", cwd=tmp_path) as address:
        page, asked = browser.new_page(), []
        page.on("request", lambda request: asked.append(request))
        page.goto(address)
        page.wait_for_selector(".none")
        assert "Immich has it no more" in page.inner_text(".none")
        until(page, SHOWN, {"0.jpg": [90, False], "1.jpg": [180, True], "2.jpg": False})

        for name in ("0.jpg", "1.jpg"):
            page.locator(".card", has_text=name).locator("button[data-do=accept]").click()
        until(page, "document.querySelector('#count').textContent", "2 of 3 decided")
        page.click("#apply")
        until(page, "document.activeElement.closest('dialog')?.id", "ask-apply")
        page.click("#apply-yes")
        until(page, "document.querySelector('#job-undo').checkVisibility()", True)
        assert page.inner_text("#job-text") == "2 photos turned (run 1)."
        turns = [[one["parameters"]["angle"] for one in fake.photos[photo].edits] for photo in (lying, upside_down)]
        assert turns == [[90], [180]]
        until(page, f"({SHOWN})['0.jpg']", [0, True])

        page.click("#job-undo")
        page.click("#ask-undo button[value=yes]")
        until(page, "document.querySelector('#job-undo').checkVisibility()", False)
        until(page, f"({SHOWN})['0.jpg']", [90, False])
        assert [fake.photos[photo].edits for photo in (lying, upside_down)] == [[], []]

        assert {request.url.split("/")[2] for request in asked} == {address.split("/")[2]}
        heads = [str(request.all_headers()) + request.url for request in asked]
        assert not [text for text in [page.content(), *heads] if fake_immich.KEY in text]
        page.close()
