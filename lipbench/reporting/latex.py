"""Write texts as LaTeX that any pdflatex compiles, whatever they hold.

The output is ASCII and needs no package. A character without a form in base LaTeX is written as
its code point, `[U+732B]`, and named in a comment. (The macros of general libraries need further
packages for half of their characters.)
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator

_ASCII = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": "{`}",
    '"': "''",  # packages for some languages give a meaning to the character itself
    # A row ends in \\, which takes a * or a [ after it for its own; so do the rules of booktabs.
    **{character: f"{{{character}}}" for character in "[]*"},
    **{character: f"${character}$" for character in "<>|"},
}
_TEXT = {  # without the macros that base LaTeX takes from other fonts (TS1), which few have
    "–": "--", "—": "---", "‘": "{`}", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}",
    "¡": "!`", "¿": "?`", "§": r"$\mathsection$", "¶": r"$\mathparagraph$",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}",
    "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "⁄": "/", "‐": "-", "‑": "-",
    "†": r"\textsuperscript{$\dagger$}", "‡": r"\textsuperscript{$\ddagger$}",
}  # fmt: skip
_MATHEMATICS = {
    **dict(zip("αβγδεζηθικλμνξπρσςτυφχψω", (
        "alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa",
        "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "varsigma", "tau", "upsilon", "varphi",
        "chi", "psi", "omega",
    ), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΥΦΨΩϵϑϕϱϖ", (
        "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi",
        "Omega", "epsilon", "vartheta", "phi", "varrho", "varpi",
    ), strict=True)),
    "±": "pm", "∓": "mp", "×": "times", "÷": "div", "·": "cdot", "⋅": "cdot", "∘": "circ",
    "∗": "ast", "⋆": "star", "•": "bullet", "⊕": "oplus", "⊗": "otimes", "⊙": "odot",
    "≤": "leq", "≥": "geq", "≪": "ll", "≫": "gg", "≠": "neq", "≈": "approx", "≡": "equiv",
    "∼": "sim", "≃": "simeq", "≅": "cong", "∝": "propto", "≺": "prec", "≻": "succ",
    "∈": "in", "∉": "notin", "∋": "ni", "⊂": "subset", "⊃": "supset", "⊆": "subseteq",
    "⊇": "supseteq", "∪": "cup", "∩": "cap", "∅": "emptyset", "∖": "setminus",
    "∀": "forall", "∃": "exists", "¬": "neg", "∧": "wedge", "∨": "vee", "⊥": "perp",
    "∑": "sum", "∏": "prod", "∫": "int", "∂": "partial", "∇": "nabla", "∞": "infty",
    "√": "surd", "‖": "|", "∥": "|", "∣": "mid", "⟨": "langle", "⟩": "rangle", "⌊": "lfloor",
    "⌋": "rfloor", "⌈": "lceil", "⌉": "rceil", "←": "leftarrow", "→": "rightarrow",
    "↑": "uparrow", "↓": "downarrow", "↔": "leftrightarrow", "↦": "mapsto", "⇐": "Leftarrow",
    "⇒": "Rightarrow", "⇔": "Leftrightarrow", "⇑": "Uparrow", "⇓": "Downarrow", "ℓ": "ell",
    "ℏ": "hbar", "℘": "wp", "∎": "bullet", "△": "triangle", "◇": "diamond", "○": "bigcirc",
    "′": "prime", "⊤": "top", "⊢": "vdash", "♠": "spadesuit", "♥": "heartsuit",
    "♦": "diamondsuit", "♣": "clubsuit", "♯": "sharp", "♭": "flat", "…": "ldots", "⋯": "cdots",
}  # fmt: skip
_SYMBOLS = {
    **{character: f"$\\{macro}$" for character, macro in _MATHEMATICS.items()},
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True)),  # Greek, of Latin's shape
    "−": "$-$",
    "°": r"\textsuperscript{$\circ$}",
    **_TEXT,
    **_ASCII,
}
_ACCENTS = {
    "\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=",
    "\u0306": r"\u", "\u0307": r"\.", "\u0308": r"\"", "\u030a": r"\r", "\u030b": r"\H",
    "\u030c": r"\v", "\u0323": r"\d", "\u0327": r"\c", "\u0331": r"\b",
}  # fmt: skip
_RAISED = {"<super>": r"\textsuperscript", "<sub>": r"\textsubscript"}
_LONG = 13  # characters of LaTeX; a longer word can be broken
_LONGEST = 20  # letters of a word of a language
_STEP = 8
_BREAK = r"\allowbreak{}"
_CODE = re.compile(r"\{\[\}U\+([0-9A-F]{4,6})\{\]\}")


def escaped(text: str) -> str:
    r"""Return a text as LaTeX of ASCII characters, on one line.

    A letter of another font, and a ligature, becomes the plain letters; any other character
    without a form in base LaTeX becomes its code point.

    >>> escaped("[ours] λ₁ = 10%")
    '{[}ours{]} $\\lambda$\\textsubscript{1} = 10\\%'
    """
    return "".join(_written(_one_line(text)))


def _written(text: str) -> list[str]:
    """Return the LaTeX of each character of a line, with the marks that it has."""
    clusters = re.findall("[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]", text)
    # Two hyphens would become a dash.
    return [
        "{}-" if cluster == before == "-" else _cluster(cluster)
        for before, cluster in itertools.pairwise(["", *clusters])
    ]


def breakable(text: str) -> str:
    """Return a text as LaTeX whose long words can be broken.

    They can after each sign, and every 8 letters where no word of a language is so long.
    """
    return " ".join(map(_divided, _one_line(text).split(" ")))


def _divided(word: str) -> str:
    clusters = _written(word)
    if len("".join(clusters)) <= _LONG:
        return "".join(clusters)
    pieces: list[str] = []
    for letters, run in itertools.groupby(clusters, str.isalnum):
        written = list(run)
        step = _STEP if len(written) > _LONGEST else len(written)
        step = step if letters else 1
        pieces += ["".join(written[i : i + step]) for i in range(0, len(written), step)]
        if letters or written[-1] == "-":  # no break before a sign; TeX breaks after a hyphen
            pieces[-1] += "\0"
    return _BREAK.join(pieces).replace(f"\0{_BREAK}", "").replace("\0", "")


def comments(body: str) -> Iterator[str]:
    """Yield a comment on each character that is written as its code point."""
    for code in dict.fromkeys(_CODE.findall(body)):
        name = unicodedata.name(chr(int(code, 16)), "a character without a name")
        yield f"% [U+{code}] stands for {name}, which has no form in base LaTeX"


def _one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _cluster(cluster: str) -> str:
    """Return a character and the combining marks that follow it."""
    character, marks = cluster[0], cluster[1:]
    if character not in _SYMBOLS:
        decomposed = unicodedata.normalize("NFD", character)
        if len(decomposed) > 1 and decomposed[0].isascii():
            character, marks = decomposed[0], decomposed[1:] + marks
    written = _character(character)
    for mark in marks:
        accented = character.isascii() and character.isalpha() and mark in _ACCENTS
        written = f"{_ACCENTS[mark]}{{{written}}}" if accented else written + _code(mark)
    return written


def _character(character: str) -> str:
    if character in _SYMBOLS:
        return _SYMBOLS[character]
    if character.isascii() and character.isprintable():
        return character
    plain = unicodedata.normalize("NFKC", character)
    if plain in ("", character) or "\u0300" <= plain[-1] <= "\u036f":
        return _code(character)
    raised = _RAISED.get(unicodedata.decomposition(character).partition(" ")[0])
    return f"{raised}{{{escaped(plain)}}}" if raised else escaped(plain)


def _code(character: str) -> str:
    return f"{{[}}U+{ord(character):04X}{{]}}"
