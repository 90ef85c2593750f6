"""One test suite, two servers: the fake, and a real one where IMMICH_URL and IMMICH_KEY_FILE name it (see CONTRIBUTING.md)."""

import os
import threading
from pathlib import Path

import httpx
import pytest
from support import fake_immich


class Talk:
    """What tests do to a server by its API, as a person would."""

    def __init__(self, url, key_file):
        self.url, self.key_file = url, str(key_file)
        self._http = httpx.Client(
            base_url=f"{url}/api/", headers={"x-api-key": key_file.read_text().strip()}, timeout=60, trust_env=False
        )

    def upload(self, data, name="photo.jpg", created="2026-01-01T00:00:00.000Z"):
        """Its id, once the server shows it. It is made unique: a server may still be deleting the same one of another test."""
        data += os.urandom(8)
        fields = {"deviceAssetId": name, "deviceId": "tests", "fileCreatedAt": created, "fileModifiedAt": created}
        photo = self._http.post("assets", files={"assetData": (name, data)}, data=fields).json()["id"]
        self.until(lambda: self._http.get(f"assets/{photo}/thumbnail?size=preview").status_code == 200)
        return photo

    def edits(self, photo):
        found = self._http.get(f"assets/{photo}/edits").json()["edits"]
        return [{"action": one["action"], "parameters": one["parameters"]} for one in found]

    def edit(self, photo, edits):
        """Have a photo edited, and wait until it is shown so."""
        before = self._http.get(f"assets/{photo}/thumbnail?size=preview&edited=true").content
        answer = (
            self._http.put(f"assets/{photo}/edits", json={"edits": edits})
            if edits
            else self._http.delete(f"assets/{photo}/edits")
        )
        assert answer.is_success, answer.text

        def is_new():
            try:
                answer = self._http.get(f"assets/{photo}/thumbnail?size=preview&edited=true")
            except httpx.TransportError:  # the file was replaced while it was sent
                return False
            return answer.is_success and answer.content != before

        self.until(is_new)

    def preview(self, photo, edited=True):
        return self._http.get(f"assets/{photo}/thumbnail?size=preview" + ("&edited=true" if edited else "")).content

    def original(self, photo):
        return self._http.get(f"assets/{photo}/original").content

    def delete(self, *photos):
        self._http.request("DELETE", "assets", json={"ids": photos, "force": True})

    def everything(self):
        found = self._http.post("search/metadata", json={"size": 1000, "page": 1}).json()["assets"]["items"]
        return [one["id"] for one in found]

    def until(self, is_so):
        pause = threading.Event()
        for _ in range(600):
            if is_so():
                return
            pause.wait(0.1)
        raise AssertionError("the server has not done it within a minute")

    def close(self):
        self._http.close()


@pytest.fixture
def fake():
    return fake_immich.Fake()


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(fake_immich.KEY + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def running(fake):
    server = fake_immich.Running(fake)
    yield server
    server.stop()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.immich)])
def server(request):
    """A server without photos."""
    if request.param == "fake":
        talk = Talk(request.getfixturevalue("running").url, request.getfixturevalue("key_file"))
    elif "IMMICH_URL" not in os.environ:
        pytest.skip("no real Immich server: IMMICH_URL and IMMICH_KEY_FILE name none")
    else:
        talk = Talk(os.environ["IMMICH_URL"], Path(os.environ["IMMICH_KEY_FILE"]))
        talk.delete(*talk.everything())
        talk.until(lambda: not talk.everything())
    yield talk
    talk.close()
