"""What orientd prints with --json is what the schema and the manual say, key by key, in many states of a library."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support import json_talk

from orientd.cli import json_output
from orientd.config import OPTIONS
from orientd.errors import ExitCode
from orientd.reasons import Reason
from orientd.records import COLUMNS, Format, LeftOut, Method, Status, Verdict
from orientd.write.verify import State

SCHEMA = json.loads(resources.files("orientd.report").joinpath("output.schema.json").read_text("utf-8"))
KINDS = SCHEMA["$defs"]
ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "json.md").read_text("utf-8")
COMMANDS = [entry["$ref"].rpartition("/")[2] for entry in SCHEMA["anyOf"]]


def validator(kind):
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": KINDS})


def kind_of(command, line):
    """The name of the definition that a line of a command fits."""
    (kind,) = [each for each in kinds_of(command) if validator(each).is_valid(line)]
    return kind


def kinds_of(command):
    return [entry["$ref"].rpartition("/")[2] for entry in KINDS[command]["oneOf"]]


def met(value, schema, where):
    """(definition, key) of every key of a value that fits a schema."""
    if "$ref" in schema:
        where = schema["$ref"].rpartition("/")[2]
        yield from met(value, KINDS[where], where)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if Draft202012Validator(choice | {"$defs": KINDS}).is_valid(value):
            yield from met(value, choice, where)
    if isinstance(value, list):
        for each in value:
            yield from met(each, schema.get("items", {}), where)
    elif isinstance(value, dict):
        for key, each in value.items():
            inside = schema.get("properties", {}).get(key)
            known = inside is not None or any(re.search(pattern, key) for pattern in schema.get("patternProperties", {}))
            if known:
                yield where, key
            yield from met(each, inside or schema.get("additionalProperties") or {}, f"{where}.{key}" if inside else where)


def documented(schema, where):
    """(definition, key) of every key that a schema tells of."""
    for pattern in schema.get("patternProperties", {}):
        names = re.fullmatch(r"\^\((.*)\)_b64\$", pattern)[1]
        yield from ((where, f"{name}_b64") for name in names.split("|"))
    for key, inside in schema.get("properties", {}).items():
        yield where, key
        yield from documented(inside, f"{where}.{key}")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return json_talk.talk(tmp_path_factory.mktemp("talk"), monkeypatch)


@pytest.fixture(scope="module")
def lines(said):
    """(kind, line) of everything that was printed."""
    return [(kind_of(one.command, line), line) for one in said for line in one.lines]


def answers(said, state, *words):
    return [one.lines for one in said if one.state == state and one.words[: len(words)] == words]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_line_is_as_the_schema_says(said):
    wrong = [
        f"{one}: {problem.message}"
        for one in said
        for line in one.lines
        for kind in [one.command]
        for problem in validator(kind).iter_errors(line)
    ]
    assert wrong == []
    assert {one.command for one in said} == set(COMMANDS)


def test_every_key_of_the_schema_occurs(said):
    found = {pair for one in said for line in one.lines for pair in met(line, {"$ref": f"#/$defs/{one.command}"}, "")}
    assert {pair for kind in KINDS for pair in documented(KINDS[kind], kind)} - found == set()


def test_every_line_that_a_command_may_print_occurs(lines):
    printed = {kind for command in COMMANDS for kind in kinds_of(command)}
    assert {kind for kind, _ in lines} == printed


def test_a_key_more_or_less_or_of_another_type_is_noticed(lines):
    for kind, line in dict(lines).items():
        fits = validator(kind).is_valid
        assert fits(line)
        assert not fits(line | {"files known": 1}), kind
        for key in [key for key in line if not key.endswith("_b64")]:
            assert not fits({name: value for name, value in line.items() if name != key}), (kind, key)
            assert not fits(line | {key: {"a": object}}), (kind, key)
        for key in [key for key, value in line.items() if type(value) in (int, float, bool)]:
            assert not fits(line | {key: str(line[key])}), (kind, key)


def test_whole_numbers_are_whole(said):
    """To JSON Schema 1.0 is whole, too; to most who read it, it is not."""
    whole = {key for kind in KINDS.values() for key, inside in kind.get("properties", {}).items() if "integer" in str(inside)}
    for one in said:
        for line in one.lines:
            assert [key for key in whole & line.keys() if type(line[key]) is float] == []


def test_the_words_are_those_of_the_program():
    photo = KINDS["photo"]["properties"]
    assert list(photo) == ["message_type", *COLUMNS]
    assert photo["format"]["enum"] == ["", *Format]
    assert KINDS["inspection"]["properties"]["format"]["enum"] == list(Format)
    assert photo["decision"]["enum"] == KINDS["inspection"]["properties"]["decision"]["enum"] == list(Verdict)
    assert photo["method"]["enum"] == ["", *Method]
    assert photo["outcome"]["enum"] == list(Status)
    assert KINDS["file_state"]["enum"] == list(State)
    assert list(KINDS["photos_summary"]["properties"]["left_out"]["properties"]) == list(LeftOut)
    assert all(re.fullmatch(KINDS["reason_code"]["pattern"], code) for code in Reason)


def test_the_codes_are_those_of_the_reasons(lines):
    codes = {line[key] for _, line in lines for key in ("reason_code", "refusal_code") if line.get(key)}
    assert {"damaged", "unknown_content", "format_never_written", "changed", "vanished", "original_lost"} <= codes
    assert codes <= set(Reason)


def test_what_goes_wrong_is_told_in_json(said):
    """Every command that ends with an error prints it as its last line, in the form that a scan has."""
    ended = [one for one in said if one.code in (ExitCode.USAGE, ExitCode.UNAVAILABLE) or one.state == "mistakes"]
    assert {one.command for one in ended} == set(COMMANDS)
    for one in ended:
        assert list(one.lines[-1]) in (["message_type", "message"], ["message_type", "message", "message_b64"]), one
        assert [line["message_type"] for line in one.lines].count("error") == 1, one


def test_the_last_line_tells_the_exit_code(said):
    told = [(one.code, one.lines[-1]["exit_code"]) for one in said for line in one.lines[-1:] if "exit_code" in line]
    assert {code for code, _ in told} >= {ExitCode.OK, ExitCode.ERROR, ExitCode.INCOMPLETE}
    assert [each for each in told if each[0] != each[1]] == []


def test_a_run_is_followed_from_history_to_status(said):
    ((second, first),) = answers(said, "written", "history")
    assert (first["run"], first["state"], first["fixed"], second["fixed"]) == (1, "done", 2, 1)
    assert first["started"] <= first["finished"] <= second["started"]
    ((status,),) = answers(said, "written", "status")
    assert (status["runs"], status["last_run"], status["fixed"], status["originals"]) == (2, 2, 3, 1)
    assert status["originals_bytes"] > 1000
    assert status["files_known"] == 6
    states = [runs[0]["state"] for runs in answers(said, "interrupted", "history")]
    assert states == ["interrupted", "running"]
    ((status,),) = answers(said, "interrupted", "status")
    assert status["interrupted_writes"] == 1


def test_an_undo_without_a_number_names_the_run_and_changes_nothing_unasked(said):
    unasked, tried, done, single, again, *_ = answers(said, "undone", "undo")
    assert [line["message_type"] for line in unasked] == ["run", "error"]
    assert unasked[0]["run"] == 1
    assert "undo 1 --state-dir" in unasked[1]["message"]
    assert [(line["message_type"], line.get("outcome"), line.get("run")) for line in tried] == [
        ("run", None, 1),
        ("outcome", "pending", None),
        ("summary", None, None),
    ]
    assert (done[-1]["run"], done[-1]["fixed"], done[-1]["dry_run"]) == (2, 1, False)
    assert single[-1]["fixed"] == 1
    assert [line["message_type"] for line in again] == ["error"]


def test_what_an_undo_leaves_alone_has_its_reason(said):
    _, undone = answers(said, "failures", "undo", "1")
    codes = {line["reason_code"]: line["outcome"] for line in undone[:-1]}
    assert codes == {None: "fixed", "changed": "failed", "vanished": "failed", "original_lost": "failed"}
    assert (undone[-1]["photos"], undone[-1]["fixed"], undone[-1]["failed"]) == (5, 2, 3)


def test_a_watcher_is_told_in_words_that_stay(said):
    states = [status for (status,) in answers(said, "watcher", "status")]
    assert [each["watch"]["state"] for each in states] == ["starting", "idle", "walking", "other", "other"]
    assert [each["watch"]["running"] for each in states] == [True, True, True, True, False]
    assert (states[0]["watch"]["waiting"], states[0]["watch"]["photos"]) == (7, {"fix": 1})
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", states[0]["watch"]["started"])
    ((nothing,), *_) = answers(said, "nothing", "status")
    assert (nothing["watch"]["running"], nothing["watch"]["state"], nothing["watch"]["started"]) == (False, None, None)


def test_the_states_of_a_watcher_are_those_that_it_has():
    sources = "".join(
        (ROOT / "orientd" / "watch" / name).read_text("utf-8") for name in ("daemon.py", "metrics.py", "throttle.py")
    )
    assert [words for words in json_output.WATCHER_STATES if f'"{words}"' not in sources] == []
    assert KINDS["watcher"]["properties"]["state"]["enum"] == [*json_output.WATCHER_STATES.values(), "other", None]


def test_every_option_is_shown_with_its_type(said):
    ((told,),) = answers(said, "nothing", "config", "show")
    assert list(told["options"]) == list(OPTIONS)
    assert told["options"]["batch"] == {"value": 8, "source": "default", "origin": None}
    assert told["options"]["min_confidence"]["value"] is None
    assert told["options"]["exclude"]["value"] == []
    assert (told["options"]["model"]["source"], told["options"]["model"]["origin"]) == ("environment", "ORIENTD_MODEL")


def test_a_photo_that_is_refused_says_why(said):
    told = {line["path"].rpartition("/")[2]: line for (line,) in answers(said, "refused", "inspect") if "path" in line}
    assert told["d.gif"]["refusal_code"] == "format_never_written"
    assert told["f.jpg"]["reason_code"] is told["f.jpg"]["reason"] is told["a.jpg"]["refusal"] is None
    assert (told["e.jpg"]["message_type"], told["e.jpg"]["reason_code"]) == ("error", "damaged")
    silent = {"model": None, "software": None, "has_sensor": False, "sensor_orientation": None}
    assert told["a.jpg"]["origin"] == {"make": "a camera", **silent}
    assert told["d.gif"]["origin"] is None


def test_the_manual_names_every_command_and_every_line():
    told = set(re.findall(r"`([^`\n]+)`", MANUAL))
    assert {f"orientd {command.replace('_', ' ')}" for command in COMMANDS} <= told
    assert {kind for command in COMMANDS for kind in kinds_of(command)} <= told
    assert "orientd/report/output.schema.json" in told
