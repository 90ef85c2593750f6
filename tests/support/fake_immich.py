"""A small server that answers as Immich 3.1.0 was seen to: what orientd asks of it, and no more."""

import base64
import hashlib
import io
import re
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from email.utils import format_datetime

import uvicorn
from PIL import Image, ImageOps
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "fake-key-0123456789abcdefghijklmnopqrstuvwx"
OWNER = "00000000-0000-4000-8000-00000000000a"
_ACTIONS = {"crop": {"x", "y", "width", "height"}, "rotate": {"angle"}, "mirror": {"axis"}}


@dataclass
class Held:
    """One photo: its file and what the server tells of it. `late` previews are given out as they were before an edit."""

    data: bytes
    told: dict
    edits: list = field(default_factory=list)
    made: datetime = field(default_factory=lambda: datetime.now(UTC))
    late: int = 0
    shown: list = field(default_factory=list)


@dataclass
class Fake:
    """What the server holds, and how it misbehaves: `faults` are answers that are given in the place of the next ones, to the
    requests whose method and path begin so; `asked` are all requests."""

    photos: dict[str, Held] = field(default_factory=dict)
    permissions: tuple[str, ...] = ("all",)
    version: tuple[int, int, int] = (3, 1, 0)
    faults: list[tuple[str, Response | None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list, repr=False)
    late: int = 0

    def app(self):
        routes = [
            Route("/api/server/version", self.tell_version),
            Route("/api/api-keys/me", self.about_key),
            Route("/api/users/me", self.about_user),
            Route("/api/albums", self.albums),
            Route("/api/search/metadata", self.search, methods=["POST"]),
            Route("/api/search/statistics", self.statistics, methods=["POST"]),
            Route("/api/assets", self.upload, methods=["POST"]),
            Route("/api/assets", self.delete, methods=["DELETE"]),
            Route("/api/assets/{id}", self.about),
            Route("/api/assets/{id}/original", self.original),
            Route("/api/assets/{id}/thumbnail", self.thumbnail),
            Route("/api/assets/{id}/edits", self.edits, methods=["GET"]),
            Route("/api/assets/{id}/edits", self.edit, methods=["PUT"]),
            Route("/api/assets/{id}/edits", self.unedit, methods=["DELETE"]),
        ]
        inner = Starlette(routes=routes, exception_handlers={_No: lambda _, no: no.answer})

        async def app(scope, receive, send):
            if scope["type"] != "http":
                return await inner(scope, receive, send)
            request = Request(scope)
            line = f"{request.method} {request.url.path.removeprefix('/api/')}"
            self.asked.append(line)
            self.keys.append(request.headers.get("x-api-key", ""))
            fault = next((one for one in self.faults if line.startswith(one[0])), None)
            if fault:
                self.faults.remove(fault)
                if fault[1] is not None:
                    return await fault[1](scope, receive, send)
            if request.url.path != "/api/server/version" and self.keys[-1] != KEY:
                return await JSONResponse({"message": "Invalid API key"}, 401)(scope, receive, send)
            return await inner(scope, receive, send)

        return app

    def allow(self, permission):
        if "all" not in self.permissions and permission not in self.permissions:
            raise _No(403, f"Missing required permission: {permission}")

    def one(self, request, permission):
        self.allow(permission)
        held = self.photos.get(request.path_params["id"])
        if held is None:
            raise _No(400, f"Not found or no {permission} access")
        return held

    async def tell_version(self, request):
        return JSONResponse(dict(zip(("major", "minor", "patch"), self.version, strict=True)) | {"prerelease": None})

    async def about_key(self, request):
        return JSONResponse({"id": "k", "name": "test", "permissions": list(self.permissions)})

    async def about_user(self, request):
        self.allow("user.read")
        return JSONResponse({"id": OWNER, "email": "a@example.com", "name": "A"})

    async def albums(self, request):
        self.allow("album.read")
        names = sorted({album for held in self.photos.values() for album in held.told["albums"]})
        return JSONResponse([{"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "albumName": name} for name in names])

    def found(self, wanted):
        albums = set(wanted.get("albumIds", []))
        for held in sorted(self.photos.values(), key=lambda held: (held.told["fileCreatedAt"], held.told["id"])):
            told = held.told
            within = {str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in told["albums"]}
            if told["visibility"] != wanted.get("visibility", told["visibility"]) or (albums and not albums & within):
                continue
            if "isTrashed" in wanted and told["isTrashed"] != wanted["isTrashed"]:
                continue
            if not wanted.get("takenAfter", "") <= told["fileCreatedAt"] <= wanted.get("takenBefore", "9"):
                continue
            yield told | {"isEdited": bool(held.edits)}

    async def search(self, request):
        self.allow("asset.read")
        wanted = await request.json()
        found = list(self.found(wanted))
        found = found if wanted.get("order") == "asc" else found[::-1]
        first = (wanted["page"] - 1) * wanted["size"]
        page = found[first : first + wanted["size"]]
        more = str(wanted["page"] + 1) if len(found) > first + wanted["size"] else None
        return JSONResponse({"albums": {"items": []}, "assets": {"total": len(page), "items": page, "nextPage": more}})

    async def statistics(self, request):
        self.allow("asset.statistics")
        return JSONResponse({"total": len(list(self.found(await request.json())))})

    async def upload(self, request):
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + await request.body()).iter_parts()
        form = {part.get_param("name", header="content-disposition"): part for part in parts}
        data, name = form["assetData"].get_payload(decode=True), form["assetData"].get_filename()
        created = form["fileCreatedAt"].get_payload(decode=True).decode()
        return JSONResponse({"id": self.add(data, name, fileCreatedAt=created), "status": "created"}, 201)

    def add(self, data, name, albums=(), **more):
        """Keep a photo; returns its id."""
        photo = str(uuid.uuid4())
        told = {
            "id": photo,
            "ownerId": OWNER,
            "libraryId": None,
            "type": "IMAGE",
            "originalPath": f"/data/upload/{photo}.jpg",
            "originalFileName": name,
            "fileCreatedAt": "2026-01-01T00:00:00.000Z",
            "fileModifiedAt": "2026-01-01T00:00:00.000Z",
            "isTrashed": False,
            "visibility": "timeline",
            "livePhotoVideoId": None,
            "duration": None,
            "exifInfo": {"fileSizeInByte": len(data), "projectionType": None},
            "checksum": base64.b64encode(hashlib.sha1(data).digest()).decode(),
            "albums": list(albums),
        } | more
        self.photos[photo] = Held(data, told)
        return photo

    async def delete(self, request):
        for photo in (await request.json())["ids"]:
            self.photos.pop(photo, None)
        return Response(status_code=204)

    async def about(self, request):
        held = self.one(request, "asset.read")
        return JSONResponse(held.told | {"isEdited": bool(held.edits)})

    async def original(self, request):
        return Response(self.one(request, "asset.download").data, media_type="image/jpeg")

    async def thumbnail(self, request):
        held = self.one(request, "asset.view")
        edited = request.query_params.get("edited") == "true"
        edits = held.edits if edited else []
        if edited and held.late:
            held.late -= 1
            edits = held.shown
        elif held.edits:
            held.shown, held.made = held.edits, max(held.made, held.edits[0]["at"])
        headers = {"last-modified": format_datetime(held.made, usegmt=True)}
        return Response(preview(held.data, edits), media_type="image/jpeg", headers=headers)

    async def edits(self, request):
        self.allow("asset.edit.get")
        held = self.one(request, "asset.read")
        return JSONResponse(self.told_edits(request.path_params["id"], held))

    def told_edits(self, photo, held):
        told = [
            {"id": str(uuid.uuid4()), "action": one["action"], "parameters": one["parameters"], "updatedAt": _iso(one["at"])}
            for one in held.edits
        ]
        return {"assetId": photo, "edits": told}

    async def edit(self, request):
        held = self.one(request, "asset.edit.create")
        edits = (await request.json())["edits"]
        kinds = [str(one) if one["action"] == "mirror" else one["action"] for one in edits]
        wrong = [one for one in edits if set(one["parameters"]) != _ACTIONS.get(one["action"])]
        if not edits or wrong or len(set(kinds)) < len(kinds):
            raise _No(400, "Validation failed")
        if held.told["type"] != "IMAGE":
            raise _No(400, "Only images can be edited")
        if "crop" in kinds[1:]:
            raise _No(400, "Crop action must be the first edit action")
        self.change(held, edits)
        return JSONResponse(self.told_edits(request.path_params["id"], held))

    async def unedit(self, request):
        self.change(self.one(request, "asset.edit.delete"), [])
        return Response(status_code=204)

    def change(self, held, edits):
        held.edits = [one | {"at": datetime.now(UTC)} for one in edits]
        held.late = self.late


class _No(Exception):
    def __init__(self, code, message):
        self.answer = JSONResponse({"message": message}, code)


def preview(data, edits):
    """A photo as the server shows it: upright as stored, then cropped, then what else in the order of the list."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    for one in edits:
        given = one["parameters"]
        if one["action"] == "crop":
            x, y = given["x"], given["y"]
            image = image.crop((x, y, x + given["width"], y + given["height"]))
        elif one["action"] == "rotate":
            image = image.rotate(-given["angle"], expand=True)
        else:
            flip = Image.Transpose.FLIP_LEFT_RIGHT if given["axis"] == "horizontal" else Image.Transpose.FLIP_TOP_BOTTOM
            image = image.transpose(flip)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def _iso(at):
    return re.sub(r"\d{3}\+00:00$", "Z", at.isoformat(timespec="microseconds"))


class Running:
    """The server on a port of loopback, in a thread of its own; `stop` and `start` are a restart of it. `more` is for uvicorn."""

    def __init__(self, fake, **more):
        self._fake, self._port, self._more = fake, 0, more
        self.start()

    @property
    def url(self):
        return f"http{'s' * bool(self._more)}://127.0.0.1:{self._port}"

    def start(self):
        config = uvicorn.Config(
            self._fake.app(),
            host="127.0.0.1",
            port=self._port,
            log_level="critical",
            ws="none",
            lifespan="off",
            **self._more,
        )
        self._server = uvicorn.Server(config)
        bound = config.bind_socket()
        bound.listen()  # who connects before the thread is there waits
        self._port = bound.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]}, name="fake immich")
        self._thread.start()

    def stop(self):
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
