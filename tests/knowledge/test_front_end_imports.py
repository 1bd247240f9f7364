"""What reads documents and pages stays out of the front end, unless it is needed."""

import subprocess
import sys

PARSERS = ("lxml", "pypdf", "docx", "openpyxl", "pptx", "striprtf", "libzim")


def test_the_front_end_imports_no_parser() -> None:
    code = f"import sys, server.app, server.services; print([name for name in {PARSERS!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
