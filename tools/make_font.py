"""Make the course's font: the characters that its readers meet, out of Noto Sans CJK SC Regular.

    .venv/bin/python tools/make_font.py NotoSansCJK-Regular.ttc

That file is in 03_NotoSansCJK-OTC.zip of https://github.com/notofonts/noto-cjk/releases/tag/Sans2.004.
The same bytes come out each time: the font and the packaged sentences are verified, no time is written, and
fontTools is pinned.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

from course_lib.installed import find, verified
from course_lib.show.style import HANZI, HANZI_FILE
from course_lib.tasks.sentences import PACKAGED

SOURCE_SHA256 = "b76b0433203017ca80401b2ee0dd69350349871c4b19d504c34dbdd80541690a"
SIMPLIFIED = 2  # the faces of the collection: JP, KR, SC, TC, HK; then the same, Latin in one width
ASCII, LATIN_1, FULL_WIDTH = range(0x20, 0x7F), range(0xA0, 0x100), range(0xFF01, 0xFF61)
COPYRIGHT = "Copyright 2014-2021 Adobe (http://www.adobe.com/), with Reserved Font Name 'Source'."
NAMES = {
    0: COPYRIGHT,
    1: HANZI,
    2: "Regular",
    3: "Version 2.004;" + HANZI_FILE.stem,
    4: HANZI,
    5: "Version 2.004; a subset of Noto Sans CJK SC Regular",
    6: HANZI_FILE.stem,
}
ROOT = Path(__file__).parents[1]
SHOWN = (
    "notebooks/**/*.ipynb",
    "exercises/*.ipynb",
    "course_lib/**/*.py",
    "course_lib/**/*.csv",
    "*.md",
    "docs/*.md",
)
COURSE = [path for pattern in SHOWN for path in ROOT.glob(pattern)]  # whose Chinese is shown too
LICENCE = (13, 14)  # what the font says of its licence, and the licence's address, stay as they are


def gb2312(first, last):
    """Return the characters in some rows of GB 2312; 94 places each, not all of them taken."""
    places = (bytes((0xA0 + row, 0xA0 + k)) for row in range(first, last + 1) for k in range(1, 95))
    return {place.decode("gb2312", "ignore") for place in places} - {""}


def characters():
    """Return what the font shall hold."""
    sentences = json.loads(verified(PACKAGED, find(PACKAGED)).read_text("utf8"))
    spoken = set(json.dumps(sentences, ensure_ascii=False))  # both scripts, pinyin, glosses
    course = {c for path in COURSE for c in path.read_text("utf8") if c >= "\u2e80"}
    punctuation, common = gb2312(1, 1), gb2312(16, 55)
    return spoken | course | punctuation | common | {chr(code) for code in (*ASCII, *LATIN_1, *FULL_WIDTH)}


def shrunk(path):
    """Return the face with these characters alone, without tables for vertical and positioned text."""
    font = TTFont(path, fontNumber=SIMPLIFIED, recalcTimestamp=False)
    options = subset.Options(layout_features=[], bidi_closure=False, name_IDs=["*"], name_languages=["*"])
    options.notdef_outline = True  # an empty box, not nothing, for a character that is missing
    options.drop_tables += ["BASE", "GDEF", "GPOS", "GSUB", "VORG", "vhea", "vmtx"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(sorted(characters())))
    subsetter.subset(font)
    return font


def rename(font):
    """Give the font its own name: 'Source' is reserved by the licence, 'Noto' is a trademark."""
    names = font["name"]
    names.names = [record for record in names.names if record.nameID in LICENCE and record.langID == 0x409]
    for number, text in NAMES.items():
        names.setName(text, number, 3, 1, 0x409)
    names.names.sort()
    outlines = font["CFF "].cff
    outlines.fontNames = [HANZI_FILE.stem]
    face = outlines.topDictIndex[0]
    face.FullName = face.FamilyName = HANZI
    face.Notice = COPYRIGHT
    for part in face.FDArray:
        part.FontName = HANZI_FILE.stem + part.FontName[part.FontName.rfind("-") :]


def main():
    """Read the arguments, check the input, write the font."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="NotoSansCJK-Regular.ttc, version 2.004")
    parser.add_argument("--to", type=Path, default=HANZI_FILE, help="default: where the course keeps it")
    given = parser.parse_args()
    found = hashlib.sha256(given.source.read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit("%s has SHA-256 %s,\nexpected %s." % (given.source, found, SOURCE_SHA256))
    font = shrunk(given.source)
    rename(font)
    font.save(given.to)
    made = given.to.read_bytes()
    count = len(font.getBestCmap())
    print(
        "%s: %d characters, %d bytes, SHA-256 %s"
        % (given.to, count, len(made), hashlib.sha256(made).hexdigest())
    )


if __name__ == "__main__":
    main()
