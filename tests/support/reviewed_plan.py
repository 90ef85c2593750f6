"""A plan of eight photos behind the page, and what a person says there."""

import pytest
from support import sky_library
from support.review_pages import client_of, desk_of


@pytest.fixture
def plan(orientd, photos, tmp_path):
    """Of eight photos, 1, 3, 5 and 7 are sideways or upside down."""
    sky_library.library(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv", "-q") == 0
    return tmp_path / "plan.csv"


@pytest.fixture
def client(plan):
    with desk_of(plan) as desk, client_of(desk) as client:
        yield client


def proposals(client):
    """The numbers of the proposals by the names of their photos."""
    numbers = client.get("/api/list?show=fix").json["sections"][0]["numbers"]
    cards = client.get(f"/api/cards?n={','.join(map(str, numbers))}").json
    return {card["name"]: card["n"] for card in cards}


def verdict(client, numbers, choice="accept", turn=None, page="p"):
    return client.post("/api/verdict", {"numbers": numbers, "choice": choice, "turn": turn, "page": page})
