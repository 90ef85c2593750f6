"""orientd config check and show."""

import re

from orientd.config import OPTIONS


def test_check_says_that_all_is_well_or_names_every_mistake(orientd, tmp_path, capsys, monkeypatch):
    file = tmp_path / "orientd.yaml"
    file.write_text("quiet_hours: 22:00-07:00, 12:00-13:00\nmetrics: 127.0.0.1:9812\nlibraries: [/srv/photos]\n")
    assert orientd("config", "check", file) == 0
    assert "in order" in capsys.readouterr().out
    file.write_text("quiet_hours: 10pm-7am\nmetrics: 0.0.0.0:9812\nsettle: 0\nobserver: kqueue\nlatencyy: 1\n")
    monkeypatch.setenv("ORIENTD_WHEN_MISSING", "panic")
    assert orientd("config", "check", file) == 2
    mistakes = capsys.readouterr().err
    for name in ("quiet_hours", "metrics", "settle", "observer", "latencyy", "ORIENTD_WHEN_MISSING"):
        assert name in mistakes
    assert "metrics: others can reach 0.0.0.0:9812: name a metrics_token_file" in mistakes


def test_check_finds_what_contradicts_itself(orientd, tmp_path, capsys):
    (tmp_path / "orientd.yaml").write_text("fix: true\nplan: /srv/plan.csv\n")
    assert orientd("config", "check", tmp_path / "orientd.yaml") == 2
    assert "fix and plan exclude each other" in capsys.readouterr().err


def test_the_file_of_the_service_is_the_usual_one_there(orientd, tmp_path, capsys, monkeypatch):
    (tmp_path / "orientd.yaml").write_text("settle: -1\n")
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    assert orientd("config", "check") == 2
    assert f"{tmp_path}/orientd.yaml: settle" in capsys.readouterr().err


def test_show_prints_every_option_and_where_it_comes_from(orientd, tmp_path, capsys, monkeypatch):
    file = tmp_path / "orientd.yaml"
    file.write_text("settle: 7\nfix: true\nexclude: ['*.tmp', drafts]\n")
    monkeypatch.setenv("ORIENTD_BATCH", "3")
    assert orientd("config", "show", "--config", file) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"^(\w+):", shown, flags=re.MULTILINE) == list(OPTIONS)
    assert f"settle: 7.0  # {file}: settle" in shown
    assert "fix: true" in shown
    assert f"exclude: ['*.tmp', drafts]  # {file}: exclude" in shown
    assert "batch: 3  # ORIENTD_BATCH" in shown
    assert "latency: 2.0\n" in shown
