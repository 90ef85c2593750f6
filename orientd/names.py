"""What a file or folder name promises; the content has the last word.

A file with one of the *other* suffixes is passed over unopened, and so are backups made by editors (`photo.jpg_original`,
`photo.jpg~`) and unfinished downloads. Every further file is worth opening: one that turns out to be no photo is an error only
if its suffix promised one.
"""

import os
from typing import Final


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
_BACKUPS: Final = tuple(
    _words("~ _original .!sync .!ut .aria2 .bak .crdownload .download .filepart .old .opdownload .orig .part .partial .tmp")
)

_IGNORED_FOLDERS: Final = _words("""
    #recycle #snapshot @eadir @recently-snapshot @recycle @tmp $recycle.bin __macosx lost+found recycler
""") | {"system volume information"}
_BUNDLES: Final = (".aplibrary", ".cocatalog", ".lrdata", ".migratedphotolibrary", ".photolibrary", ".photoslibrary")


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
    """False for hidden files, backups, Office's locks (~$) and files whose suffix is well known not to be a photo's.

    A leading ~ alone says nothing: programs that name temporary files so give them another suffix as well (~WRL0001.tmp).
    """
    if name.startswith((".", "~$")):
        return False
    ending = suffix(name)
    return ending in PHOTOS or not (ending in _OTHERS or name.lower().endswith(_BACKUPS))


def worth_entering(name: str) -> bool:
    """False for hidden folders, bins, thumbnail folders of network drives, and bundles that a photo program keeps for itself."""
    folded = name.lower()
    return not (name.startswith(".") or folded in _IGNORED_FOLDERS or folded.endswith(_BUNDLES))
