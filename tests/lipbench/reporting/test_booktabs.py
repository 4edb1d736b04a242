"""Tables that fit a page: the size of their type, their parts, and pages."""

from __future__ import annotations

import re

import pandas as pd

from lipbench.reporting import Shown, Table
from lipbench.reporting.booktabs import em, table, title


def of(columns: int, rows: int, text: str = "12.34") -> str:
    """Return the LaTeX of a table of equal entries."""
    titles = ("Method", *[f"c{i}" for i in range(1, columns)])
    shown = Table("t", "Caption.", titles, (), pd.DataFrame(), ("A note.",))
    entries = [[Shown("m"), *[Shown(text)] * (columns - 1)]] * rows
    return table(shown, "l" + "r" * (columns - 1), entries)


def test_a_narrow_table_stands_in_a_column_and_a_wider_one_across_the_page():
    assert r"\begin{table}" in of(4, 3)
    assert r"\begin{table*}" in of(9, 3)


def test_type_gets_smaller_before_a_table_is_cut():
    tables = of(5, 2, "0" * 18), of(16, 2), of(6, 2, "0" * 18)
    sizes = [re.search(r"\\(small|footnotesize|scriptsize)\\", latex)[1] for latex in tables]

    assert sizes == ["small", "footnotesize", "scriptsize"]
    assert [latex.count(r"\begin{tabular}") for latex in tables] == [1, 1, 1]


def test_a_table_wider_than_a_page_has_parts_that_repeat_the_first_column():
    parts = of(30, 2).split(r"\end{table*}")[:-1]

    assert len(parts) == 2
    columns = [re.search(r"(Method & .*) \\\\", part)[1].split(" & ") for part in parts]
    assert columns[0] + columns[1][1:] == ["Method", *[f"c{i}" for i in range(1, 30)]]
    assert columns[1][0] == "Method"
    assert ["Part 1 of 2." in parts[0], "Part 2 of 2." in parts[1]] == [True, True]
    assert [r"\label{tab:t}" in parts[0], r"\label{tab:t-2}" in parts[1]] == [True, True]
    assert ["A note." in part for part in parts] == [False, True]


def test_a_table_longer_than_a_page_goes_over_pages_with_its_head_on_each():
    assert r"\begin{longtable}" not in of(4, 44)

    latex = of(4, 45)

    assert latex.count(r"Method & c1 & c2 & c3 \\") == 2
    assert latex.index(r"\endfirsthead") < latex.index(r"\endhead") < latex.index("12.34")
    assert r"% \usepackage{booktabs,longtable}" in latex


def test_small_print_makes_rows_count_as_higher():
    shown = Table("t", "Caption.", ("Method", "c"), (), pd.DataFrame())
    rows = [[Shown("m"), Shown("1", detail="0-2")]] * 27

    assert r"\begin{longtable}" in table(shown, "lr", rows)
    assert r"\begin{longtable}" not in table(shown, "lr", rows[:25])


def test_a_text_wider_than_a_line_of_its_column_is_broken():
    shown = Table("t", "Caption.", ("Method", "Cause"), (), pd.DataFrame())

    latex = table(shown, "ll", [[Shown("m"), Shown("ValueError: " + "a/b_c" * 20)]])

    assert r"p{16em}" in latex
    assert r"\usepackage{array,booktabs}" in latex or r"\usepackage{booktabs,array}" in latex
    assert r"a/\allowbreak{}b\_\allowbreak{}ca" in latex


def test_small_print_stands_on_the_side_of_its_column():
    shown = Table("t", "Caption.", ("Method", "c"), (), pd.DataFrame())

    latex = table(shown, "lr", [[Shown("m", detail="x"), Shown("1", detail="y")]])

    assert r"\begin{tabular}[t]{@{}l@{}}m\\[-3pt]{\tiny x}\end{tabular}" in latex
    assert r"\begin{tabular}[t]{@{}r@{}}1\\[-3pt]{\tiny y}\end{tabular}" in latex


def test_a_wide_title_has_lines():
    assert title("Setting").latex == "Setting"
    assert r"Largest\\$\sigma$ in use" in title("Largest σ in use").latex
    assert r"\parbox[b]{16em}" in title("x" * 90).latex


def test_a_character_that_is_spelled_out_counts_as_wide():
    assert em("猫") == 4.5
    assert em("λ") < 1
