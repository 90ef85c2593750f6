"""The files of the survey of refusals: which they are, and how they get out of the repositories they belong to.

    git clone --bare https://github.com/OWNER/NAME MIRRORS/OWNER+NAME/repo          # each repository of files.tsv
    python -m benchmarks.refusals.files MIRRORS --out FOLDER

files.tsv holds one file per line: repository, path and Git's hash of the content (`git cat-file blob HASH`), separated by tabs;
no two have the same content. The files themselves are not kept here. `--relist OWNER/NAME…` lists those of the newest commits.
"""

import argparse
import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_suffix(".tsv")
_SUFFIXES = re.compile(
    r"3fr|a?png|arw|avifs?|bmp|cr[23w]|dcr|dib|dng|erf|gif|hei[cf]|hif|iiq|j2[ck]|jfif|jp[2cefgsx]|jpeg|jxl|kdc|mef|mos|mpo|mrw"
    r"|nef|nrw|orf|pef|raf|raw|rw[2l]|sr[2fw]|tiff?|webp|x3f"
)
_POINTER = b"version https://git-lfs"


class Listed(NamedTuple):
    """A file of a repository (OWNER/NAME); `blob` is Git's hash of its content, in hexadecimal."""

    repository: str
    path: str
    blob: str

    def place(self, folder: Path) -> Path:
        return folder / self.repository.replace("/", "+") / self.path


def read_list(path: Path = LIST) -> list[Listed]:
    return [Listed(*line.split("\t")) for line in path.read_text(encoding="utf-8").splitlines()]


def blob_of(data: bytes) -> str:
    """Git's name for a content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def fitting(files: Iterable[Listed], folder: Path) -> Iterator[Listed]:
    """Those files that are in `folder` and whose content is the one listed."""
    return (each for each in files if each.place(folder).is_file() and blob_of(each.place(folder).read_bytes()) == each.blob)


def lay_out(files: Iterable[Listed], mirrors: Path, folder: Path) -> int:
    """Write the files there; returns how many were found in the repositories."""
    found = 0
    for each in files:
        data = _content(mirrors, each)
        if data is not None:
            each.place(folder).parent.mkdir(parents=True, exist_ok=True)
            each.place(folder).write_bytes(data)
            found += 1
    return found


def listed_anew(repositories: Iterable[str], mirrors: Path) -> Iterator[Listed]:
    """Every photo of the newest commits, each content once; without those a snapshot lacks, and pointers to them."""
    seen = set()
    for repository in repositories:
        for entry in _git(mirrors, repository, "ls-tree", "-r", "-z", "HEAD").split(b"\0")[:-1]:
            about, name = entry.split(b"\t", 1)
            mode, _, blob = about.decode().split()
            each = Listed(repository, name.decode(errors="surrogateescape"), blob)
            plain = mode.startswith("100") and each.path.isprintable()
            if not plain or not _SUFFIXES.fullmatch(each.path.rpartition(".")[2].lower()) or blob in seen:
                continue
            data = _content(mirrors, each)
            if data and not data.startswith(_POINTER):
                seen.add(blob)
                yield each


def _content(mirrors: Path, each: Listed) -> bytes | None:
    try:
        return _git(mirrors, each.repository, "cat-file", "blob", each.blob)
    except subprocess.CalledProcessError:  # a snapshot may lack its largest files
        return None


def _git(mirrors: Path, repository: str, *arguments: str) -> bytes:
    folder = mirrors / repository.replace("/", "+") / "repo"
    return subprocess.run(["git", f"--git-dir={folder}", *arguments], capture_output=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mirrors", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--relist", nargs="+", metavar="OWNER/NAME")
    options = parser.parse_args()
    if options.relist:
        lines = ["\t".join(each) for each in listed_anew(options.relist, options.mirrors)]
        LIST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = read_list()
    if options.out:
        print(f"{lay_out(files, options.mirrors, options.out)} of {len(files)} files laid out in {options.out}")


if __name__ == "__main__":
    main()
