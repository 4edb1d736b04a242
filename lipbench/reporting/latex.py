"""Write a table as LaTeX that any pdflatex compiles, whatever its texts hold.

The output is ASCII and needs the package booktabs only. A character without a form in base LaTeX
is written as its code point, `[U+732B]`, and named in a comment above the table. (The macros of
general libraries need further packages for half of their characters.)
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipbench.reporting.exhibit import Shown, Table

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
_CODE = re.compile(r"\{\[\}U\+([0-9A-F]{4,6})\{\]\}")


def escaped(text: str) -> str:
    r"""Return a text as LaTeX of ASCII characters, on one line.

    A letter of another font, and a ligature, becomes the plain letters; any other character
    without a form in base LaTeX becomes its code point.

    >>> escaped("[ours] λ₁ = 10%")
    '{[}ours{]} $\\lambda$\\textsubscript{1} = 10\\%'
    """
    clusters = re.findall("[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]", _one_line(text))
    # Two hyphens would become a dash.
    protected = [
        "{}-" if cluster == before == "-" else _cluster(cluster)
        for before, cluster in itertools.pairwise(["", *clusters])
    ]
    return "".join(protected)


def table(shown: Table, align: str, rows: Sequence[Sequence[Shown]]) -> str:
    """Return a table's LaTeX, a float with its caption, notes and the label `tab:<name>`."""
    body = [
        r"% \usepackage{booktabs}",
        r"\begin{table}[t]",
        r"  \centering\small\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escaped(shown.caption)}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9.:_-]+', '-', shown.name)}}}",
        rf"  \begin{{tabular}}{{{align}}}",
        r"    \toprule",
        _line(escaped(column) for column in shown.columns),
        r"    \midrule",
        *[_line(_entry(entry) for entry in row) for row in rows],
        r"    \bottomrule",
        r"  \end{tabular}",
        *[rf"  \par\smallskip{{\footnotesize {escaped(note)}}}" for note in shown.notes],
        r"\end{table}",
        "",
    ]
    return "\n".join([*_named("\n".join(body)), *body])


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


def _named(body: str) -> Iterator[str]:
    """Yield a comment on each character that is written as its code point."""
    for code in dict.fromkeys(_CODE.findall(body)):
        name = unicodedata.name(chr(int(code, 16)), "a character without a name")
        yield f"% [U+{code}] stands for {name}, which has no form in base LaTeX"


def _entry(shown: Shown) -> str:
    text = escaped(shown.text) + escaped(shown.mark)
    text = rf"\textbf{{{text}}}" if shown.best else text
    detail = escaped(shown.detail)
    stacked = (
        rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\\[-3pt]{{\tiny {detail}}}\end{{tabular}}"
    )
    return stacked if detail else text


def _line(entries: Iterable[str]) -> str:
    return "    " + " & ".join(entries) + r" \\"
