"""Debian's chromium, seen through Playwright, and orientd review as a process of its own for it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def review(*arguments, cwd):
    """The address of the page; it ends by Ctrl-C, as a person ends it, and well."""
    command = [sys.executable, "-m", "orientd", "review", "--no-browser", *map(str, arguments)]
    # it finds its package from another folder
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            assert "http" in line, process.stderr.read()
            yield re.search(r"http\S+", line)[0]
        finally:
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=60)
        assert (process.returncode, output[1]) == (0, ""), output


class Page:
    """A page with what a person does there; `errors` are what its console complained of."""

    def __init__(self, browser, address, **context):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.errors = []
        self.page = self.open(address)

    def open(self, address):
        page = self.context.new_page()
        page.on("console", lambda message: self.errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "response",
            lambda response: self.errors.append(f"{response.status} {response.url}") if response.status >= 400 else None,
        )
        page.goto(address)
        page.wait_for_selector(".card h3")
        page.wait_for_selector(".frame img.there")
        return page

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def current(self):
        return self.page.inner_text(".card.current h3 span")

    def state(self):
        return self.page.inner_text(".card.current .state") if self.page.is_visible(".card.current .state") else ""

    def close(self):
        self.context.close()


def until(page, expression, wanted, seconds=60):
    """Wait for what an expression gives; the policy of the page allows no waiting inside of it."""
    end = time.monotonic() + seconds
    while (found := page.evaluate(expression)) != wanted:
        assert time.monotonic() < end, f"{expression} is {found!r}, not {wanted!r}"
        page.wait_for_timeout(20)
