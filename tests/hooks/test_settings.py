"""What the configuration may name as a hook, and where that may come from."""

import pytest

from orientd.config import HOOKS, load
from orientd.errors import ConfigError

HOME = {"HOME": "/home/ada"}


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "orientd.yaml"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


@pytest.mark.parametrize(
    ("text", "hook"),
    [
        ("[/usr/bin/tell, two words, $HOME, ';', '']", ("/usr/bin/tell", "two words", "$HOME", ";", "")),
        ("[tell]", ("tell",)),
        ("[~/bin/tell, ~]", ("/home/ada/bin/tell", "~")),
        ("https://hc-ping.com/uuid/fail?x=1", ("https://hc-ping.com/uuid/fail?x=1",)),
        ("[https://hc-ping.com/uuid]", ("https://hc-ping.com/uuid",)),
        ("'HTTP://[::1]:8080/'", ("HTTP://[::1]:8080/",)),
        ("[]", ()),
        ("''", ()),
    ],
)
def test_a_hook_is_a_list_of_arguments_or_an_address(written, text, hook):
    assert load(written(f"on_found: {text}"), HOME, {}).on_found == hook


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/usr/bin/tell --loud", "must be a list of a program and its arguments"),
        ("tell", "must be a list of a program and its arguments"),
        ("[[a], b]", "must be a list of a program and its arguments"),
        ("{a: b}", "must be a list of a program and its arguments"),
        ("['']", "must be a list of a program and its arguments"),
        ('["a\\0b"]', "must be a list of a program and its arguments"),
        ("file:///etc/passwd", "must be a list of a program and its arguments"),
        ("[ftp://example.org/]", "must be a list of a program and its arguments"),
        ("[./tell]", "must name its program by its whole path"),
        ("[bin/tell]", "must name its program by its whole path"),
        ("[https://example.org/, loud]", "an address stands alone"),
        ("https://ada:secret@example.org/", "must be an address such as"),
        ("https://", "must be an address such as"),
        ("https://example.org:99999/", "must be an address such as"),
        ("'https://exa mple.org/'", "must be an address such as"),
        ("https://exämple.org/", "must be an address such as"),
    ],
)
def test_what_is_neither_is_told(written, text, told):
    with pytest.raises(ConfigError, match=f"on_finish: {told}"):
        load(written(f"on_finish: {text}"), HOME, {})


def test_they_are_off_unless_the_configuration_names_them():
    assert [getattr(load(None, HOME, {}), name) for name in HOOKS] == [(), (), ()]


def test_the_environment_gives_an_address():
    assert load(None, HOME | {"ORIENTD_ON_ERROR": "https://example.org/"}, {}).on_error == ("https://example.org/",)
    with pytest.raises(ConfigError, match="ORIENTD_ON_ERROR: must be"):
        load(None, HOME | {"ORIENTD_ON_ERROR": "/bin/tell:loud"}, {})
