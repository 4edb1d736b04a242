"""Texts that Markdown would read as its own."""

from __future__ import annotations

import pytest

from lipbench.reporting.markdown import escaped, paragraph


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("*SN*", r"\*SN\*"),
        ("a_b_c", r"a\_b\_c"),
        ("`x`", r"\`x\`"),
        ("<script>", r"\<script\>"),
        ("[x](y)", r"\[x\](y)"),
        ("a\n\nb", "a b"),
        ("$x$ ~~y~~ &amp;", r"\$x\$ \~\~y\~\~ \&amp;"),
        ("a\\", "a\\\\"),
    ],
)
def test_a_text_has_no_meaning_in_markdown(text, expected):
    assert escaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# a", r"\# a"),
        ("* One run", r"\* One run"),
        ("- a", r"\- a"),
        ("---", r"\---"),
        ("1. a", r"1\. a"),
        ("12) a", r"12\) a"),
        ("-x and 3 more", "-x and 3 more"),
        ("10 runs", "10 runs"),
        ("", ""),
    ],
)
def test_a_paragraph_begins_no_list_heading_or_rule(text, expected):
    assert paragraph(text) == expected
