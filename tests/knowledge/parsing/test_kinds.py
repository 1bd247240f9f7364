"""Which files are refused, and in which words."""

import pytest

from server.errors import UnreadableDocument
from server.knowledge.parsing import reader
from tests.knowledge.parsing.parsing import blocks_of
from tests.knowledge.parsing.samples import SAMPLES, pdf_changed, pdf_of, zip_of

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"", "empty"),
        ("a.doc", OLE, "save it as .docx"),
        ("a.msg", OLE, "save it as .eml"),
        ("a.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        ("a.xls", b"no workbook", "save it as .xlsx"),
        ("a.pdf", b"just text", "ends in .pdf, but it is no PDF"),
        ("a.docx", b"just text", "ends in .docx, but it is no Word document"),
        ("a.txt", b"text\x00text", "no text"),
        ("a.txt", bytes(range(1, 32)) * 9, "no text"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "an image"),
        ("a.tar.gz", b"\x1f\x8b\x08", "pack it as .zip"),
        ("a.txt", b"\x00\x00\x00\x18ftypM4A ", "is a recording"),
        ("a.pdf", pdf_of(""), "no text in the PDF"),
        ("a.pdf", pdf_changed(SAMPLES["a.pdf"], lambda writer: writer.encrypt("secret")), "The PDF is encrypted"),
        ("a.eml", b"no header\n\ntext", "no e-mail"),
        ("a.zip", zip_of({"a.png": b"\x89PNG"}), "no file that can be read"),
        ("a.zip", zip_of({"xl/workbook.bin": b"", "[Content_Types].xml": b""}), "save it as .xlsx"),
        ("a.docx", zip_of({"word/x": b"", "[Content_Types].xml": b""}), "Word document is damaged"),
        ("a.odt", zip_of({"mimetype": "application/vnd.oasis.opendocument.text"}), "a part is missing"),
    ],
)
def test_refused_in_words_for_the_owner(name: str, data: bytes, words: str) -> None:
    with pytest.raises(UnreadableDocument, match=words):
        blocks_of(name, data)


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("a.txt", "a.pdf"),
        ("a", "a.pdf"),
        ("a.docx", "a.pptx"),
        ("a.doc", "a.rtf"),
        ("a.xls", "a.html"),
        ("a.zip", "a.docx"),
    ],
)
def test_a_wrong_name_does_not_hide_what_it_is(name: str, sample: str) -> None:
    assert blocks_of(name, SAMPLES[sample]) == blocks_of(sample, SAMPLES[sample])


def test_recordings_by_name() -> None:
    assert reader.sound("Talk.MP3")
    assert reader.sound("b.webm")
    assert not reader.sound("mp3")
    assert not reader.sound("a.mp3.txt")
    assert ".pdf" in reader.SUFFIXES
    assert ".mp3" not in reader.SUFFIXES
