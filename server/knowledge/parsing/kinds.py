"""What kind of file it is: by its first bytes, and where they say nothing, by its name."""

import zipfile
import zlib
from enum import StrEnum

from server.errors import UnreadableDocument
from server.knowledge.parsing.source import Source


class Kind(StrEnum):
    """Each is read by the module of `formats` that `MODULES` names."""

    PDF = "PDF"
    DOCX = "Word document"
    PPTX = "PowerPoint presentation"
    XLSX = "Excel workbook"
    OPENDOCUMENT = "OpenDocument file"
    EPUB = "EPUB book"
    ZIP = "ZIP archive"
    RTF = "RTF document"
    HTML = "HTML page"
    MAIL = "e-mail"
    MARKDOWN = "Markdown text"
    TABLE = "table of separated values"
    CODE = "source code"
    TEXT = "text"
    PAGE = "web page"
    """An HTML page whose main text alone is wanted."""


MODULES = {
    Kind.PDF: "pdf",
    Kind.DOCX: "docx",
    Kind.PPTX: "pptx",
    Kind.XLSX: "xlsx",
    Kind.OPENDOCUMENT: "opendocument",
    Kind.EPUB: "epub",
    Kind.ZIP: "archive",
    Kind.RTF: "rtf",
    Kind.HTML: "html",
    Kind.MAIL: "mail",
    Kind.MARKDOWN: "markdown",
    Kind.TABLE: "separated",
    Kind.CODE: "code",
    Kind.TEXT: "text",
    Kind.PAGE: "page",
}
BINARY = {
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".docm": Kind.DOCX,
    ".pptx": Kind.PPTX,
    ".pptm": Kind.PPTX,
    ".xlsx": Kind.XLSX,
    ".xlsm": Kind.XLSX,
    ".odt": Kind.OPENDOCUMENT,
    ".odp": Kind.OPENDOCUMENT,
    ".ods": Kind.OPENDOCUMENT,
    ".epub": Kind.EPUB,
    ".zip": Kind.ZIP,
    ".rtf": Kind.RTF,
}
"""Their first bytes say that they are one, or they are none."""
_CODE = """
    .json .jsonl .yaml .yml .toml .ini .cfg .conf .xml .xsd .svg .css .scss .properties .env .dockerfile .tf
    .py .pyi .js .mjs .cjs .jsx .ts .tsx .java .kt .scala .groovy .c .h .cc .cpp .cxx .hh .hpp .cs .go .rs
    .swift .m .sql .php .rb .pl .lua .r .jl .sh .bash .zsh .ps1 .bat .cmake .gradle .proto .graphql .vue
"""
TEXTS = {
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".eml": Kind.MAIL,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".csv": Kind.TABLE,
    ".tsv": Kind.TABLE,
    ".txt": Kind.TEXT,
    ".text": Kind.TEXT,
    ".rst": Kind.TEXT,
    ".log": Kind.CODE,
    ".tex": Kind.TEXT,
    **dict.fromkeys(_CODE.split(), Kind.CODE),
}
PAGE = ".page-of-the-web"
"""By which live search has a page read. No document may have it: it is not among SUFFIXES."""
SUFFIXES = frozenset(BINARY) | frozenset(TEXTS)
OLD_OFFICE = {".doc": ".docx", ".dot": ".docx", ".ppt": ".pptx", ".pps": ".pptx", ".xls": ".xlsx", ".msg": ".eml"}
"""Formats that no library reads well, and what to save them as."""
SOUND = frozenset({".mp3", ".mp4", ".mpeg", ".mpga", ".m4a", ".wav", ".webm", ".flac", ".ogg"})

_IMAGE = "The file is an image; only text is read."
_PACKED = "The file is packed in a way that is not read; pack it as .zip."
_RECORDING = "The file is a recording, but its name does not end as one's: .mp3, .wav, .m4a, .mp4 or the like."
_REFUSED = (
    (b"\x89PNG", _IMAGE),
    (b"\xff\xd8\xff", _IMAGE),
    (b"GIF8", _IMAGE),
    (b"II*\x00", _IMAGE),
    (b"MM\x00*", _IMAGE),
    (b"\x1f\x8b", _PACKED),
    (b"BZh", _PACKED),
    (b"7z\xbc\xaf\x27\x1c", _PACKED),
    (b"Rar!\x1a", _PACKED),
    (b"\xfd7zXZ\x00", _PACKED),
    (b"\x28\xb5\x2f\xfd", _PACKED),
    (b"ID3", _RECORDING),
    (b"fLaC", _RECORDING),
    (b"OggS", _RECORDING),
    (b"\x1aE\xdf\xa3", _RECORDING),
    (b"\x7fELF", "The file is a program, not a text."),
    (b"%!PS", "The file is PostScript, which is not read; save it as .pdf."),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
HEAD = 4096


def kind_of(source: Source) -> Kind:
    """What the file is. Raises UnreadableDocument for what is not read, and for what is not what its name says."""
    head = source.start(HEAD)
    if not head:
        raise UnreadableDocument("The file is empty.")
    if source.suffix == PAGE:
        return Kind.PAGE
    if head.startswith(_OLE):
        raise UnreadableDocument(_ole(source))
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(source)
    if b"%PDF-" in head[:1024] and (source.suffix == ".pdf" or head.lstrip()[:5] == b"%PDF-"):
        return Kind.PDF
    if head.startswith(b"{\\rtf"):
        return Kind.RTF
    for magic, message in _REFUSED:
        if head.startswith(magic):
            raise UnreadableDocument(message)
    if head.startswith(b"RIFF") and head[8:12] in (b"WAVE", b"WEBP"):
        raise UnreadableDocument(_RECORDING if head[8:12] == b"WAVE" else _IMAGE)
    if head[4:8] == b"ftyp":
        raise UnreadableDocument(_RECORDING)
    return _textual(source.suffix, head)


def _textual(suffix: str, head: bytes) -> Kind:
    markup = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower().startswith((b"<!doctype html", b"<html"))
    if suffix in OLD_OFFICE:
        if markup:  # many programs write their tables so, and name them .xls
            return Kind.HTML
        raise UnreadableDocument(f"The file's name ends in {suffix}, but it is none; save it as {OLD_OFFICE[suffix]}.")
    if suffix in BINARY:
        raise UnreadableDocument(f"The file's name ends in {suffix}, but it is no {BINARY[suffix]}, or is damaged.")
    if markup and suffix in ("", ".txt", ".text"):
        return Kind.HTML
    return TEXTS.get(suffix, Kind.TEXT)


def _zipped(source: Source) -> Kind:
    """Which of the kinds that are ZIP archives within."""
    try:
        source.file.seek(0)
        with zipfile.ZipFile(source.file) as archive:
            names = {info.filename for info in archive.infolist()}
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                mimetype = archive.read("mimetype").strip()
                if mimetype == b"application/epub+zip":
                    return Kind.EPUB
                if mimetype.startswith(b"application/vnd.oasis.opendocument."):
                    return Kind.OPENDOCUMENT
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise UnreadableDocument(
            "The file is damaged: it ends too early, or its table of contents is wrong."
        ) from error
    if "[Content_Types].xml" in names:
        for name, kind in (("word/", Kind.DOCX), ("ppt/", Kind.PPTX), ("xl/", Kind.XLSX)):
            if any(member.startswith(name) for member in names):
                if f"{name}workbook.bin" in names:
                    raise UnreadableDocument("The file is a binary workbook (.xlsb); save it as .xlsx.")
                return kind
    return Kind.ZIP


def _ole(source: Source) -> str:
    """Why a file of Microsoft's old container format is not read."""
    if source.suffix not in OLD_OFFICE and _ENCRYPTED in source.start(2**20):
        return "The file is encrypted. Save it without a password."
    better = OLD_OFFICE.get(source.suffix, ".docx, .pptx, .xlsx or .eml")
    return f"The file is of an old Office format that is not read; save it as {better}."
