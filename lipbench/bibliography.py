"""The papers of methods: BibTeX entries, and how a person reads them.

A method names keys of the file `references.bib` beside its own, or brings BibTeX itself.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from lipbench.errors import Mark, UserError, unknown

_ENTRY = re.compile(r"@(\w+)\s*\{\s*([^,\s]+)\s*,(.*?)\n\s*\}", re.DOTALL)
_FIELD = re.compile(r"(\w+)\s*=\s*\{(.*)\},?\s*$", re.MULTILINE)
_ACCENT = re.compile(r"\{\\(['\"`^~])(\w)\}")
_MARKS = {"'": "\u0301", '"': "\u0308", "`": "\u0300", "^": "\u0302", "~": "\u0303"}


@dataclass(frozen=True)
class Paper:
    """One entry: its key, its fields, and the text that a .bib file takes."""

    key: str
    fields: dict[str, str]
    bibtex: str

    def __str__(self) -> str:
        """Return authors' last names, title, venue and year."""
        names = [author.split()[-1] for author in self._plain("author").split(" and ")]
        authors = f"{names[0]} et al." if len(names) > 3 else ", ".join(names)
        where = self._plain("booktitle") or self._plain("journal")
        eprint = f" {self.fields['eprint']}" if where == "arXiv preprint" else ""
        short = re.search(r"\(([^)]+)\)", where)
        venue = short.group(1) if short else where
        title = self._plain("title")
        stop = "" if title.endswith("?") else "."
        return f"{authors}: {title}{stop} {venue}{eprint}, {self.fields['year']}"

    def _plain(self, field: str) -> str:
        text = _ACCENT.sub(lambda found: found[2] + _MARKS[found[1]], self.fields.get(field, ""))
        text = text.replace(r"{\AA}", "Å").replace(r"{\o}", "ø")
        return unicodedata.normalize("NFC", re.sub(r"[{}]", "", text))


def parse(text: str) -> dict[str, Paper]:
    """Return BibTeX's entries by key; each field on its own line, in braces."""
    return {
        found[2]: Paper(found[2], dict(_FIELD.findall(found[3])), found[0].strip())
        for found in _ENTRY.finditer(text)
    }


def papers(named: tuple[str, ...], plugin: Path) -> list[Paper]:
    """Return the papers that a plugin's file names. Raises UserError for an unknown key."""
    beside = plugin.with_name("references.bib")
    known = parse(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    found: list[Paper] = []
    for name in named:
        if name.lstrip().startswith("@"):
            found.extend(parse(name).values())
        elif name in known:
            found.append(known[name])
        else:
            raise UserError(unknown("paper", name, known), Mark(str(plugin)))
    return found
