"""A photo on a played server, and what writes to it."""

import pytest
from support.server_photos import landscape

from orientd.config import load
from orientd.decode.cpu import CpuDecoder
from orientd.pipeline.immich import servers
from orientd.pipeline.immich.address import Server
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.edits import EditedPhoto
from orientd.pipeline.immich.writer import ImmichWriter
from orientd.records import Method, Row, Verdict
from orientd.state.journal import Journal
from tests.immich.test_client import Waits

TURN = [{"action": "rotate", "parameters": {"angle": 90}}]


@pytest.fixture
def config(tmp_path, running, key_file):
    state = str(tmp_path / "state")
    servers.keep(state, Server("home", running.url, str(key_file)))
    return load(None, {"HOME": str(tmp_path), "ORIENTD_STATE_DIR": state}, {})


@pytest.fixture
def clock():
    return Waits()


@pytest.fixture
def writer(config, clock):
    made = ImmichWriter(Connections(config, clock, print), lambda photo: CpuDecoder(64).decode(photo).pixels, clock)
    yield made
    made.close()


@pytest.fixture
def journal(config):
    with Journal(config.state_dir) as opened:
        yield opened


@pytest.fixture
def photo(fake):
    return fake.add(landscape(90), "photo.jpg")


def row(fake, photo, turn=90, server="home"):
    judged = EditedPhoto(fake.photos[photo].told["checksum"], tuple(edits(fake, photo)))
    path = f"immich:{server}/{photo}/photo.jpg"
    return Row(path, turn=turn, decision=Verdict.FIX, method=Method.IMMICH, size=1, sha256=judged.sha256)


def edits(fake, photo):
    return [{"action": one["action"], "parameters": one["parameters"]} for one in fake.photos[photo].edits]
