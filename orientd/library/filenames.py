"""What a file or folder name promises; the content has the last word.

A file with one of the *other* suffixes is passed over unopened, and so are backups made by editors (`photo.jpg_original`,
`photo.jpg~`), and files that a program is just writing: downloads, copies of synchronization, what exiftool and others write
before they rename it. Every further file is worth opening: one that turns out to be no photo is an error only
if its suffix promised one.
"""

import os
import re
from typing import Final

from orientd.records import LeftOut


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


JUDGED: Final = _words("""
    .apng .avif .bmp .dib .gif .heic .heif .hif .j2c .j2k .jfif .jif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .png .tif .tiff
    .webp
""")
JPEG: Final = _words(".jfif .jif .jpe .jpeg .jpg .mpo")
RAW: Final = _words("""
    .3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .ori .pef .ptx .raf .raw
    .rw2 .rwl .sr2 .srf .srw .x3f
""")
PHOTOS: Final = JUDGED | RAW | {".jxl"}

_SIDECARS: Final = ".aae .acr .cocatalogdb .cop .cos .cot .dop .lrcat .lrcat-data .lrprev .nksc .on1 .pp3 .thm .xmp"
_MEDIA: Final = """
    .3g2 .3gp .aac .aif .aiff .amr .asf .avi .crm .flac .flv .insv .lrv .m2ts .m4a .m4v .mid .mkv .mov .mp3 .mp4 .mpeg .mpg .mts
    .ogg .ogv .opus .srt .ts .vob .wav .webm .wma .wmv .wpl
"""
_DOCUMENTS: Final = """
    .ai .cdr .csv .doc .docx .eml .eps .epub .htm .html .ico .ics .indd .key .kra .md .numbers .odp .ods .odt .pages .pdf .ppt
    .pptx .ps .psb .psd .rtf .svg .tex .txt .url .vcf .xcf .xls .xlsx
"""
_DATA: Final = """
    .7z .apk .bat .bin .bz2 .c .cfg .class .conf .cpp .css .dat .db .db-shm .db-wal .deb .dll .dmg .exe .go .gpx .gz .h .ini
    .ipynb .iso .jar .java .js .json .jsonl .kml .lnk .lock .log .lua .msi .npy .npz .otf .php .pickle .pkl .plist .pt .py .pyc
    .rar .rb .rpm .rs .safetensors .sh .so .sql .sqlite .sqlite3 .tar .tgz .toml .ttf .vdi .vhd .vmdk .woff .woff2 .xml .xz .yaml
    .yml .zip .zst
"""
_OTHERS: Final = _words(_SIDECARS + _MEDIA + _DOCUMENTS + _DATA)
_BACKUPS: Final = tuple(_words("~ _original .bak .old .orig"))
_UNFINISHED: Final = tuple(
    _words("""
    .!sync .!ut .aria2 .bts .crdownload .download .filepart .opdownload .part .partial .tmp .temp .upload .uploading
    _exiftool_tmp
""")
)
# Behind the whole name of a photo: six random characters (mkstemp, QSaveFile), .~ and hexadecimal digits (Nextcloud), or what
# macOS adds (.sb-12345678-Abc123). Letters that are all small may be a word, digits alone a date.
_RANDOM: Final = re.compile(r"(.+)\.(?:(?![a-z]{6}$|\d{6}$)[A-Za-z0-9]{6}|~[0-9a-fA-F]+|sb-[0-9a-f]{8}-[A-Za-z0-9]{6})")
_LOCKS: Final = (".", "~$", "~syncthing~")

_IGNORED_FOLDERS: Final = _words("""
    #recycle #snapshot @eadir @recently-snapshot @recycle @tmp $recycle.bin __macosx lost+found recycler
""") | {"system volume information"}
_BUNDLES: Final = tuple(
    _words("""
    .aplibrary .cocatalog .lrdata .lrlibrary .migratedaplibrary .migratedphotolibrary .photolibrary .photoslibrary
""")
)


def suffix(path: str) -> str:
    """The last suffix in lower case with its dot; empty where there is none."""
    return os.path.splitext(path)[1].lower()


def promises_photo(path: str) -> bool:
    """True if the suffix is that of a photo, raw files and JPEG XL included."""
    return suffix(path) in PHOTOS


def promises_jpeg(path: str) -> bool:
    """True if the suffix is one of JPEG files."""
    return suffix(path) in JPEG


def promises_judged(path: str) -> bool:
    """True if the suffix is that of a photo which can be judged: such a file is read whole without a look at its first bytes."""
    return suffix(path) in JUDGED


def worth_opening(name: str) -> bool:
    """False for hidden files, backups, Office's locks (~$), unfinished files, and suffixes well known not to be a photo's.

    A leading ~ alone says nothing: programs that name temporary files so give them another suffix as well (~WRL0001.tmp).
    """
    if name.startswith(_LOCKS):
        return False
    ending = suffix(name)
    return ending in PHOTOS or not (ending in _OTHERS or name.lower().endswith(_BACKUPS + _UNFINISHED) or _is_random(name))


def worth_opening_for_pages(name: str) -> bool:
    """As `worth_opening`, and PDFs."""
    return worth_opening(name) or (suffix(name) == ".pdf" and not name.startswith(_LOCKS))


def _is_random(name: str) -> bool:
    """True if a program has put characters of its own behind the name of a photo until it is whole."""
    found = _RANDOM.fullmatch(name)
    return found is not None and promises_photo(found[1])


def worth_entering(name: str) -> bool:
    """False for hidden folders, bins, thumbnail folders of network drives, and bundles that a photo program keeps for itself."""
    return kind_of_folder(name) is None


def kind_of_folder(name: str) -> LeftOut | None:
    """Why a folder of that name is not entered; None if it is."""
    folded = name.lower()
    if folded in _IGNORED_FOLDERS:
        return LeftOut.DRIVE
    if folded.endswith(_BUNDLES):
        return LeftOut.BUNDLE
    return LeftOut.HIDDEN if name.startswith(".") else None
