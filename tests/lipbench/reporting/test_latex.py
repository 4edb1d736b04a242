"""Texts that would break a LaTeX file, and characters that it has no form for."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import unicodedata

import pandas as pd
import pytest

from lipbench.reporting import Shown, Table
from lipbench.reporting.booktabs import table
from lipbench.reporting.latex import escaped

LABELS = [
    "[ours] SN",
    "*SN",
    "*",
    "[",
    "\\",
    "GP λ=10 κ μ α Ω ≈ √ −",
    "a_b & c% #1 {x} $y^2$ ~",
    r"\input{/etc/passwd}",
    "\"q\" 'r' `s` ?` !` --x ---",
    "naïve Émile Åsa ñ ø ł ß x̂ ế",
    "θ̂ ά ℝ 𝛼 ﬁ ＄ ½ x² y₁ ⁻¹ µ Ω",
    "猫 😀 Мир",
    "a\nb\tc\u00a0d\u2028e",
    "\u202eabc\u202c \u200f \x00 \x1b \ufeff",
    "\u0301 starts with a mark",
    "<script>|x|</script>",
    "→ ⇒ ↦ ∇ ∂ ∑ ∞ ‖ ≤ ≥ ≠ ∈ ± × · † ‡ § ¶ © ™ ° – — … “”‘’",
]
BARE = re.compile(r"(?<!\\)[&%#~]|[\[\]*](?!\})")  # but for ~ of an accent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ours] SN", "{[}ours{]} SN"),
        ("*SN", "{*}SN"),
        ("λ=10%", r"$\lambda$=10\%"),
        ("x² y₁ ½", r"x\textsuperscript{2} y\textsubscript{1} 1/2"),
        ("é x̂ ế", r"\'{e} \^{x} \'{\^{e}}"),
        ("−1 – 2--3", r"$-$1 -- 2-{}-3"),
        ("µ Ω Ω", r"$\mu$ $\Omega$ $\Omega$"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        (" a\n b\t", "a b"),
        ("猫", "{[}U+732B{]}"),
        ("θ̂", r"$\theta${[}U+0302{]}"),
        ("", ""),
    ],
)
def test_a_text_is_written_for_latex(text, expected):
    assert escaped(text) == expected


def test_every_character_is_written_in_ascii_on_one_line_without_bare_special_ones():
    for code in [*range(0xD800), *range(0xE000, 0x11000), *range(0x1D400, 0x1F700)]:
        written = escaped(f"a{chr(code)}b")
        assert written.isascii(), hex(code)
        assert written.isprintable(), hex(code)
        assert not BARE.search(re.sub(r"\\~\{", "{", written)), hex(code)
        depth = re.sub(r"\\[{}]", "", written)
        assert depth.count("{") == depth.count("}"), hex(code)
        assert re.sub(r"\\\$", "", written).count("$") % 2 == 0, hex(code)


def of(labels, name="hostile"):
    return Table(
        name,
        f"Caption {' '.join(labels)}",
        ("Method", *labels[:2]),
        tuple(
            (label, Shown(label, "*", label, best=True), Shown(label[::-1])) for label in labels
        ),
        pd.DataFrame(),
        tuple(labels),
    )


def test_a_row_never_begins_with_what_the_end_of_the_last_one_would_take():
    shown = of(LABELS)
    rows = [[e if isinstance(e, Shown) else Shown(e) for e in row] for row in shown.rows]

    lines = table(shown, "lrr", rows).splitlines()

    assert not any(line.strip().startswith(("[", "*")) for line in lines)
    assert all(line.isascii() for line in lines)


def test_characters_without_a_form_are_named_above_the_table():
    text = table(of(["猫"]), "lr", [[Shown("猫"), Shown("1")]])

    assert text.splitlines()[0] == (
        "% [U+732B] stands for CJK UNIFIED IDEOGRAPH-732B, which has no form in base LaTeX"
    )


def test_a_label_to_refer_to_has_no_character_that_latex_reads():
    assert r"\label{tab:a_b-c-d}" in table(of(["x"], "a_b{c}$d"), "lr", [])


def draws():
    """Return labels of random characters that people write, and of any others."""
    draw = random.Random(0)
    ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x400), (0x400, 0x500),
              (0x2000, 0x2300), (0x2500, 0x27C0), (0x3040, 0x30FF), (0x4E00, 0x5000),
              (0x1D400, 0x1D800), (0x1F300, 0x1F700)]  # fmt: skip
    for _ in range(400):
        places = [draw.choice(ranges) for _ in range(draw.randint(1, 12))]
        yield "".join(chr(draw.randrange(*place)) for place in places)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pdflatex_compiles_tables_of_hostile_labels(tmp_path):
    every = [chr(c) for c in range(0x20, 0x2E80) if not unicodedata.combining(chr(c))]
    known = [c for c in every if "U+" not in escaped(c)]
    labels = [*LABELS, *draws(), *known]
    packages = r"\usepackage{array,booktabs,longtable}"
    document = [r"\documentclass{article}", packages, r"\begin{document}"]
    for i in range(0, len(labels), 25):
        some = [label for label in labels[i : i + 25] if label.strip()]
        shown = of(some)
        rows = [[e if isinstance(e, Shown) else Shown(e) for e in row] for row in shown.rows]
        document += [table(shown, "lrr", rows), r"\clearpage"]
    (tmp_path / "labels.tex").write_text("\n".join([*document, r"\end{document}"]))

    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "labels.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:]
