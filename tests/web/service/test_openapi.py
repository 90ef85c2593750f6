"""The description for programs: it is that of these routes, and what is answered is what it says."""

import io
import os
import re
from pathlib import Path

import jsonschema
import pytest
from starlette.routing import Route
from support import drawn_pages, sky_library
from support.serving import JPEG, TOKEN, client_of

from orientd import __version__
from orientd.config import load
from orientd.reasons import Reason
from orientd.web.service.app import Service, openapi, status_of
from orientd.web.service.door import Limits
from orientd.web.service.judging import Judging
from orientd.web.service.tasks import Refusal, Wanted

TOLD = openapi()
DOCUMENT = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")


def encoded(image, kind):
    image.save(file := io.BytesIO(), kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def client():
    with client_of(Judging(load(os.devnull, {}, {}), lambda said: None)) as client:
        yield client


def check(value, name):
    """Raises ValidationError if it is not what the description says."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": TOLD["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_it_tells_of_every_route_and_of_no_other():
    app = Service(None, Limits(), None).app()
    routes = {(route.path, *sorted(route.methods - {"HEAD"})) for route in app.routes if isinstance(route, Route)}
    described = {(path, *sorted(method.upper() for method in methods)) for path, methods in TOLD["paths"].items()}
    pages = {(path, "GET") for path, _ in routes if path in ("/", "/docs") or path.startswith("/static/")}
    assert routes - pages == described


@pytest.mark.parametrize("token", ["", TOKEN])
def test_whoever_is_not_let_in_is_told_as_described(token):
    with client_of(lambda tasks: [], token, clock=lambda: 0.0) as client:
        for path, methods in TOLD["paths"].items():
            for method, described in methods.items():
                for _ in range(70):  # more than may try without the token
                    answer = client.ask(
                        method.upper(), path, b"", {"host": "elsewhere.example", "origin": "http://elsewhere.example"}
                    )
                    assert str(answer.status) in described["responses"], (path, answer.status)
                    if answer.status != 200:
                        check(answer.json, "Fault")


def test_version_codes_and_choices_are_those_of_the_program():
    assert TOLD["info"]["version"] == __version__
    assert TOLD["components"]["schemas"]["ReasonCode"]["enum"] == [*Reason, *Refusal]
    by_name = {one["name"]: one["schema"]["enum"] for one in TOLD["paths"]["/v1/orientation"]["post"]["parameters"]}
    assert by_name == {"return": [*Wanted], "detail": ["usual", "full"]}
    statuses = {str(status_of(code)) for code in Reason}
    assert statuses <= set(TOLD["paths"]["/v1/page"]["post"]["responses"])


@pytest.mark.parametrize("query", ["", "?detail=full"])
@pytest.mark.parametrize("picture", ["sky", "page"])
def test_answers_are_as_described(client, query, picture):
    image = sky_library.landscape() if picture == "sky" else drawn_pages.page()
    answer = client.send(f"/v1/orientation{query}", encoded(image, "JPEG")).json
    check(answer, "Orientations")
    check(answer["images"][0], "FullOrientation" if query else "Orientation")


def test_answers_about_pages_are_as_described(client):
    for image in (drawn_pages.lying(drawn_pages.page(), 5), sky_library.landscape()):
        answer = client.send("/v1/page", encoded(image, "PNG")).json
        check(answer, "Pages")
        check(answer["images"][0], "Page")


def test_faults_are_as_described(client):
    check(client.send("/v1/orientation", b"no picture").json, "Fault")
    check(client.send("/v1/orientation", b"", JPEG).json, "Fault")
    check(client.get("/nowhere").json, "Fault")
    several = client.send_form("/v1/orientation", ("a", b"no picture"), ("b", encoded(sky_library.landscape(), "PNG"))).json
    check(several, "Orientations")
    check(several["images"][0], "FaultOfOne")


def test_the_check_sees_what_is_not_as_described():
    with pytest.raises(jsonschema.ValidationError):
        check({"error": "x", "reason_code": "no_such_code"}, "Fault")
    with pytest.raises(jsonschema.ValidationError):
        check({"images": [{"turn": 90}]}, "Orientations")


def test_the_document_tells_every_reason_of_the_service():
    rows = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    assert rows >= set(Refusal)


def test_pages_and_scripts_name_nothing_elsewhere(client):
    """No font, script, style or picture of anybody else's is loaded."""
    for route in Service(None, Limits(), None).app().routes:
        if route.path.startswith("/static/") or route.path in ("/", "/docs"):
            text = client.get(route.path).text.replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1:8765", "")
            assert not re.search(r"(https?:)?//[\w.]+\.\w|@import|url\(", text), route.path
