"""What the README says, for the tests that hold it to it. `python tests/readme.py` renews its table of settings."""

import re
from pathlib import Path

from server.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TABLE = re.compile(r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)", re.DOTALL)


def settings_table() -> str:
    """The table as the settings themselves give it."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def snippet(language: str, *, base_url: str, key: str) -> str:
    """The README's code in `language`, as printed but for the host and the key."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    code = "\n".join(found)  # later ones go on where earlier ones ended
    assert "http://127.0.0.1:8000" in code
    assert "sk-sage-..." in code
    return str(code).replace("http://127.0.0.1:8000", base_url).replace("sk-sage-...", key)


if __name__ == "__main__":
    README.write_text(TABLE.sub(lambda _: settings_table(), README.read_text()))
