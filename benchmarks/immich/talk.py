"""What the trials do to a real Immich server by its API, as its users would: upload, edit, look."""

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

_DATE: Final = "2026-01-01T00:00:00.000Z"
_BUSY: Final = ("active", "waiting", "delayed")
LEAST: Final = ("asset.read", "asset.view", "asset.edit.get", "user.read", "asset.edit.create", "asset.edit.delete")
"""The permissions that docs/immich.md asks for."""


@dataclass(frozen=True)
class Shown:
    """A photo as the server has it: its edits, its preview with them, and whether its original has the SHA-1 listed."""

    edits: tuple[tuple[str, str], ...]
    preview: bytes
    is_whole: bool


class Talk:
    """Talks to the server at `url` (without /api) with an API key, the token of a session, or neither."""

    def __init__(self, url: str, key: str = "", *, token: str = "") -> None:
        headers = {"x-api-key": key} if key else {"Authorization": f"Bearer {token}"} if token else {}
        self.url, self._http = url, httpx.Client(base_url=f"{url}/api/", headers=headers, timeout=120, trust_env=False)

    def ask(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """The answer; raises httpx.HTTPStatusError for a refusal."""
        answer = self._http.request(method, path, json=json, **more)
        answer.raise_for_status()
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.content

    def user(self) -> "Talk":
        """A fresh user, whose library is empty; this must be an administrator."""
        account = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(16)}
        self.ask("POST", "admin/users", account | {"name": "Trial"})
        login = Talk(self.url).ask("POST", "auth/login", account)  # not by this: it would keep the cookies, which go before keys
        session = Talk(self.url, token=login["accessToken"])
        return Talk(self.url, session.key(["all"])[1])

    def key(self, permissions: Sequence[str]) -> tuple[str, str]:
        """The id and the text of a new key."""
        made = self.ask("POST", "api-keys", {"name": "trial", "permissions": list(permissions)})
        return made["apiKey"]["id"], made["secret"]

    def key_file(self, path: Path, permissions: Sequence[str] = LEAST) -> str:
        """A file with a new key; gives the id of that."""
        path.touch(0o600)
        made, text = self.key(permissions)
        path.write_text(text)
        return made

    def upload(self, name: str, data: bytes, **more: str) -> str:
        """Its id. The previews are made later: see `settled`."""
        fields = {"deviceAssetId": name, "deviceId": "trial", "fileCreatedAt": _DATE, "fileModifiedAt": _DATE}
        return str(self.ask("POST", "assets", files={"assetData": (name, data)}, data=fields | more)["id"])

    def upload_all(self, files: Sequence[Path]) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda file: self.upload(file.name, file.read_bytes()), files))

    def settled(self) -> None:
        """Wait until the server has nothing to do; this must be an administrator. Raises TimeoutError after half an hour."""
        self.until(lambda: not any(queue["statistics"][name] for queue in self.ask("GET", "queues") for name in _BUSY), 1800)

    def until(self, is_so: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until it is so. Raises TimeoutError."""
        never = threading.Event()
        for _ in range(int(seconds * 2)):
            if is_so():
                return
            never.wait(0.5)
        raise TimeoutError(f"not so within {seconds} seconds")

    def edits(self, photo: str) -> tuple[tuple[str, str], ...]:
        found = self.ask("GET", f"assets/{photo}/edits")["edits"]
        return tuple((one["action"], str(sorted(one["parameters"].items()))) for one in found)

    def preview(self, photo: str, *, edited: bool = True) -> bytes:
        return bytes(self.ask("GET", f"assets/{photo}/thumbnail?size=preview" + "&edited=true" * edited))

    def shown(self, photo: str) -> Shown:
        checksum = self.ask("GET", f"assets/{photo}")["checksum"]
        held = base64.b64encode(hashlib.sha1(self.ask("GET", f"assets/{photo}/original")).digest()).decode()
        return Shown(self.edits(photo), self.preview(photo), held == checksum)

    def all_shown(self, photos: Sequence[str]) -> dict[str, Shown]:
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(photos, pool.map(self.shown, photos), strict=True))
