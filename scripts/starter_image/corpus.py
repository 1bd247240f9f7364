"""Where the training pictures and their words come from: Noto Emoji pictures, emojibase labels, tags and shortcodes.

Both packages are pinned by version and sha512 and brought by `npm pack`; a tarball that is there already and has the
right hash is used as it is, so a second run needs no network.
"""

import base64
import colorsys
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 64
"""Width and height of every picture, pixels."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Source:
    """An npm package, pinned. integrity: base64 of the tarball's sha512, as npm's lock files write it."""

    name: str
    version: str
    integrity: str
    wanted: str  # a regular expression over the members that are unpacked

    @property
    def tarball(self) -> str:
        return f"{self.name}-{self.version}.tgz"


PICTURES = Source(
    "emoji-datasource-google",
    "16.0.0",
    "ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==",
    r"package/(img/google/64/[^/]+\.png|emoji\.json)",
)
WORDS = Source(
    "emojibase-data",
    "16.0.3",
    "MopInVCDZeXvqBMPJxnvYUyKw9ImJZqIDr2sABo6acVSPev5IDYX+mf+0tsu96JJyc3INNvgIf06Eso7bdTX2Q==",
    r"package/en/(data|messages|shortcodes/(emojibase|github|iamcal|joypixels))\.json",
)


def fetch(source: Source, folder: Path) -> Path:
    """The unpacked package. Raises RuntimeError if what npm brought isn't what was pinned."""
    target = folder / f"{source.name}-{source.version}"
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    tarball = folder / source.tarball
    if not tarball.exists():
        print(f"fetching {source.name} {source.version}", flush=True)
        command = ["npm", "pack", f"{source.name}@{source.version}", "--silent", "--pack-destination", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if digest != source.integrity:
        raise RuntimeError(f"{tarball.name} has another sha512 than the pinned one; delete it and try again")
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(tarball) as archive:
        members = [member for member in archive if re.fullmatch(source.wanted, member.name)]
        archive.extractall(partial, members, filter="data")
    (partial / "package").rename(target)
    partial.rmdir()
    return target


@dataclass(frozen=True)
class Concept:
    """One thing that can be drawn: its words and where its picture is.

    names: other names for the same thing. colour: the picture's own dominant colour name, if it has one. shift: turn of
    the hue, 0–1, for a variant whose label begins with a colour. mirrored: whether its mirror image means the same.
    """

    key: str
    label: str
    tags: tuple[str, ...]
    names: tuple[str, ...]
    file: str
    colour: str | None
    shift: float = 0.0
    mirrored: bool = True
    base: str | None = None


TARGETS = {"red": 0.0, "orange": 28 / 360, "green": 120 / 360, "blue": 215 / 360, "purple": 278 / 360}
# What gets variants in other colours: everyday things with one clear colour of their own.
VARIED = frozenset(
    """automobile, dress, billed cap, t-shirt, jeans, necktie, balloon, door, star, key, handbag, backpack, running
    shoe, socks, gloves, scarf, butterfly, tropical fish, fish, bird, parrot, frog, turtle, octopus, snake,
    dragon, whale, tulip, rose, hibiscus, mushroom, lemon, pear, banana, strawberry, bell pepper, crayon, bus,
    racing car, sailboat, telephone, candle, ribbon, wrapped gift, crown, gem stone, bell, bucket, chair, yarn,
    kite, guitar, teddy bear, cat face, dog face, house, egg, droplet, crab, bicycle""".replace("\n    ", " ").split(
        ", "
    )
)

# People of one gender, families and facing directions differ in a few pixels; buttons are mostly lettering.
SKIPPED_SUBGROUPS = frozenset(
    ("family", "country-flag", "subdivision-flag", "alphanum", "skin-tone", "hair-style", "keycap", "zodiac")
)
SKIPPED_LABELS = re.compile(
    r"(man|woman|men|women)\b.*|.*\bfacing right|.*-thirty|(deaf|pregnant) .*|mx claus|.*baby"
    r"|.*\bbutton|regional indicator.*|person: .*|mer(man|maid)|.*\b(medium|small)\b.*(square|diamond)"
    r"|family: .*|(on!|end|soon|back|top) arrow"
)
KEPT_LABELS = frozenset(
    ("man", "woman", "baby", "woman dancing", "man dancing", "mermaid", "person: beard", "play button", "stop button")
)
ONE_WAY = re.compile(
    r".*\b(left|right|arrow|clockwise|index|hand|pointing|moon|slash|waxing|waning|mark|o'clock|sign)\b"
)
LETTERED = frozenset(
    (
        "religion",
        "transport-sign",
        "warning",
        "arrow",
        "av-symbol",
        "punctuation",
        "currency",
        "other-symbol",
        "geometric",
        "math",
    )
)


def plain(text: str) -> str:
    """Lower case, straight quotes, no punctuation that carries no meaning: the form that captions have."""
    text = text.lower().replace("’", "'").replace("“", "").replace("”", "").replace("_", " ")
    return re.sub(r"\s+", " ", text).strip()


def read_picture(path: Path) -> Pixels:
    """(SIZE, SIZE, 3) RGB over white."""
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    ground = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(ground, picture).convert("RGB").resize((SIZE, SIZE)))


def turn_hue(picture: Pixels, shift: float) -> Pixels:
    """The same picture with every hue turned by `shift` of the circle."""
    hsv = np.asarray(Image.fromarray(picture).convert("HSV")).copy()
    hsv[..., 0] = (hsv[..., 0].astype(int) + round(shift * 255)) % 256
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def name_of_colour(red: float, green: float, blue: float) -> str:
    """The everyday word for a colour, components 0–1."""
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    degrees = hue * 360
    if value < 0.22:
        return "black"
    if saturation < 0.16:
        return "white" if value > 0.88 else "grey"
    if value < 0.62 and (degrees < 42 or degrees > 345):
        return "brown"
    edges = ((13, "red"), (40, "orange"), (66, "yellow"), (165, "green"), (255, "blue"), (300, "purple"), (340, "pink"))
    return next((word for edge, word in edges if degrees < edge), "red")


def colours(picture: Pixels) -> tuple[str | None, float]:
    """(dominant colour word, or None where none fills half of what is drawn; mean hue of the vivid part, 0–1)."""
    flat = picture.reshape(-1, 3)[::3] / 255.0
    drawn = flat[flat.min(axis=1) < 0.97]
    words = [name_of_colour(*pixel) for pixel in drawn.tolist()]
    word = max(sorted(set(words)), key=words.count, default=None)
    hsv = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in drawn.tolist()]).reshape(-1, 3)
    vivid = hsv[(hsv[:, 1] > 0.35) & (hsv[:, 2] > 0.3)]
    mean = float(np.angle(np.exp(2j * np.pi * vivid[:, 0]).sum()) / (2 * np.pi) % 1)
    return (word if word is not None and words.count(word) > 0.5 * len(words) else None), mean


def read_names(hexcode: str, codes: dict[str, dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for table in codes.values():
        entry = table.get(hexcode, [])
        found += [entry] if isinstance(entry, str) else entry
    return [plain(name) for name in found if not re.search(r"\d|[+]", name)]


def read_concepts(pictures: Path, words: Path) -> list[Concept]:
    """Every concept that is trained on, colour variants last; the order is that of the sources."""
    data = json.loads((words / "en/data.json").read_text())
    subgroups = {
        entry["order"]: entry["key"] for entry in json.loads((words / "en/messages.json").read_text())["subgroups"]
    }
    tables = ("emojibase", "github", "iamcal", "joypixels")
    codes = {name: json.loads((words / f"en/shortcodes/{name}.json").read_text()) for name in tables}
    files = {entry["unified"]: entry for entry in json.loads((pictures / "emoji.json").read_text())}
    files |= {entry["non_qualified"]: entry for entry in files.values() if entry["non_qualified"]}
    concepts: list[Concept] = []
    coloured_ones: list[Concept] = []
    for entry in data:
        label = plain(entry["label"])
        group = subgroups.get(entry.get("subgroup", -1))
        picture = files.get(entry["hexcode"])
        if picture is None or group is None or group in SKIPPED_SUBGROUPS or not picture["has_img_google"]:
            continue
        if label not in KEPT_LABELS and SKIPPED_LABELS.fullmatch(label):
            continue
        path = pictures / "img/google/64" / picture["image"]
        word, hue = colours(read_picture(path))
        names = {*read_names(entry["hexcode"], codes), plain(picture["name"] or label)} - {label}
        concept = Concept(
            key=entry["hexcode"].lower(),
            label=label,
            tags=tuple(plain(tag) for tag in entry.get("tags", ()) if plain(tag) != label),
            names=tuple(sorted(name for name in names if len(name) > 1)),
            file=picture["image"],
            colour=word,
            mirrored=group not in LETTERED and not ONE_WAY.match(label),
        )
        concepts.append(concept)
        if label in VARIED:
            coloured_ones += coloured(concept, hue)
    return concepts + coloured_ones


def coloured(concept: Concept, hue: float) -> Iterator[Concept]:
    """The concept in every colour that isn't near its own."""
    for word, target in TARGETS.items():
        shift = (target - hue) % 1
        if min(shift, 1 - shift) > 45 / 360 and word != concept.colour:
            yield replace(
                concept,
                key=f"{concept.key}-{word}",
                label=f"{word} {concept.label}",
                colour=word,
                shift=shift,
                base=concept.label,
            )


def variants(concept: Concept, pictures: Path) -> list[Pixels]:
    """The pictures of one concept, (SIZE, SIZE, 3) each: as drawn first, then tilted and, where that is fair, mirrored.

    They are what makes one seed's picture differ from another's.
    """
    first = read_picture(pictures / "img/google/64" / concept.file)
    if concept.shift:
        first = turn_hue(first, concept.shift)
    made = [first, tilt(first, 7.0, 0.86)]
    if concept.mirrored:
        made += [first[:, ::-1], tilt(first[:, ::-1], 7.0, 0.86)]
    return made


def tilt(picture: Pixels, degrees: float, scale: float) -> Pixels:
    """Turned and made smaller about the centre, over white."""
    big = Image.fromarray(np.ascontiguousarray(picture)).resize((SIZE * 4, SIZE * 4), Image.Resampling.BICUBIC)
    turned = big.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))
    inner = turned.resize((round(SIZE * scale), round(SIZE * scale)), Image.Resampling.LANCZOS)
    ground = Image.new("RGB", (SIZE, SIZE), (255, 255, 255))
    ground.paste(inner, ((SIZE - inner.width) // 2, (SIZE - inner.height) // 2))
    return np.asarray(ground)
