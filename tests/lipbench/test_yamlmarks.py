"""YAML 1.2's values, the bounds of a document, and what is said of one that breaks them."""

from __future__ import annotations

import math
import os
import time

import pytest

from lipbench import yamlmarks
from lipbench.errors import Mark, UserError


def read(tmp_path, text):
    path = tmp_path / "some.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return yamlmarks.read(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("+1", 1),
        ("-0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1e-4", 1e-4),
        ("1.", 1.0),
        (".5", 0.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("!!float 1", 1.0),
        ("!!int '010'", 10),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("-0x1", "-0x1"),
        ("2024-01-01", "2024-01-01"),
        ("2024-13-45", "2024-13-45"),
        ("=", "="),
        ("{<<: {a: 1}}", {"<<": {"a": 1}}),
        ("'1'", "1"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
        *((text, None) for text in ("", "~", "null", "Null", "NULL", "!!null ''")),
        *((text, True) for text in ("true", "True", "TRUE", "!!bool true")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, text) for text in ("yes", "no", "on", "off", "y", "nULL", "tRUE")),
    ],
)
def test_a_value_is_what_the_core_schema_says(text, value):
    found = yamlmarks.parse(text, Mark("m"))
    assert (found, type(found)) == (value, type(value))


def test_a_value_that_is_no_number_is_read_as_one():
    assert math.isnan(yamlmarks.parse(".nan", Mark("m")))
    assert math.isnan(yamlmarks.parse("!!float .NaN", Mark("m")))


LAUGHS = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
# Each alias is 60 levels of its own: no line alone is too deep.
LADDER = "a0: &a0 1\n" + "".join(
    f"a{i}: &a{i} {'[' * 60}*a{i - 1}{']' * 60}\n" for i in range(1, 4)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, r":1: with its aliases it has more than 100,000 values"),
        (LADDER, r":\d: more than 100 lists and mappings"),
        ("b: 1\na: &a [*a]", r":2: an alias stands within the value that it names"),
        ("b: 1\na: &a {b: [*a]}", r":2: an alias stands within the value that it names"),
        ("a: 1\nb: " + "[" * 5000, r":2: .*more than 100 lists and mappings"),
        ("a: 1\nb: " + "{a: " * 5000, r":2: .*more than 100 lists and mappings"),
        ("- " * 400, r":1: .*more than 100 lists and mappings"),
        ("a: 1\nb: !!bool x", r":2: 'x' is no !!bool"),
        ("a: 1\nb: !!int 1:30", r":2: '1:30' is no !!int"),
        ("a: 1\nb: !!timestamp x", r":2: the tag !!timestamp is not one of !!null, !!bool"),
        ("a: 1\nb: !!python/name:os.system ''", r":2: the tag !!python/name:os.system is not"),
        ("a: 1\nb: !mine {}", r":2: the tag !mine does not fit"),
        ("a: 1\nb: !!set {a}", r":2: the tag !!set does not fit"),
        ("a: 1\nb: !!map x", r":2: the tag !!map is not one of"),
        ("a: 9223372036854775808", r":1: 9223372036854775808 is a whole number of more than 64"),
        ("a: 0x" + "f" * 5000, r":1: 0xfff.*\.\.\. is a whole number of more than 64 bits"),
        ("a: " + "9" * 5000, r":1: 999.*\.\.\. is a whole number of more than 64 bits"),
        ("a: 1\n---\nb: 2", r":[23]: a second document stands here; write one"),
        ("a: 1\nb: \0", r":2: has the control character '.x00'"),
        ("a: 1\nb: 'x\x1b[31m'", r":2: has the control character '.x1b'"),
        ('a: 1\nb: "\\0"', r":2: has the control character '.x00'"),
        ('a: 1\nb: "\\uD800"', r":2: has the control character '.ud800'"),
        ('a: 1\nb: "\\UFFFFFFFF"', r":2: not valid YAML"),
        (b"a: 1\nb: \xff", r":2: is not UTF-8 text"),
        ("a: 1\n3: b", r":2: a key must be a name, not '3' without quotes"),
        ("a: 1\ntrue: b", r":2: a key must be a name, not 'true'"),
        ("a: 1\n[b]: b", r":2: a key must be a name"),
        ("a: 1\na: 2", r":2: 'a' stands here twice"),
        ("a: 1\nb: *" + "x" * 5000, r":2: not valid YAML: found undefined alias"),
        ("#" * 1_000_001, r": has 1,000,001 bytes; at most 1,000,000"),
    ],
)
def test_a_document_that_is_refused_names_file_and_line_in_one_short_line(tmp_path, text, message):
    begin = time.perf_counter()
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, text)
    assert time.perf_counter() - begin < 5
    said = str(caught.value).removeprefix(str(tmp_path))
    assert said.startswith("/some.yaml:")
    assert len(said.splitlines()) == 1
    assert len(said) < 250


def test_a_pipe_a_device_and_a_folder_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path, type(tmp_path)("/dev/zero")):
        with pytest.raises(UserError, match=f"{path}: cannot be read .*not a regular file"):
            yamlmarks.read(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa: 1").data == {"a": 1}


def test_each_alias_is_a_copy_of_its_own(tmp_path):
    document = read(tmp_path, "a: &x {n: [1, 2]}\nb: *x\n")
    document.set("a.n.0=5")
    assert document.data == {"a": {"n": [5, 2]}, "b": {"n": [1, 2]}}
    assert str(document.mark(("a", "n", 0))) == "--set a.n.0=5"
    assert document.mark(("b", "n", 0)).line == 1


@pytest.mark.parametrize(
    "assignment",
    [
        "seeds.\u00b2=1", "seeds.\u0661=1", "seeds.-1=1", "seeds.2=1", f"seeds.{'9' * 5000}=1",
        "seeds..0=1", ".seeds=1", "seeds.=1", "=1", "seeds", "", "a.b.c=1", "a=[", "a=!!bool x",
        "a=9223372036854775808", "a=\0", "a\x1b=1", "a=\udc80", f"{'b.' * 200}b=1", "a=1: 2",
        f"a={'[' * 3000}",
    ],
)  # fmt: skip
def test_an_assignment_that_cannot_be_made_is_refused_in_one_line_and_changes_nothing(
    tmp_path, assignment
):
    document = read(tmp_path, "seeds: [0, 1]\na: 3\n")
    with pytest.raises(UserError, match=r"^--set ") as caught:
        document.set(assignment)
    assert len(str(caught.value)) < 350
    assert str(caught.value).isprintable()
    assert document.data == {"seeds": [0, 1], "a": 3}


def test_digits_are_an_index_of_a_list_and_a_key_of_a_mapping(tmp_path):
    document = read(tmp_path, "a: {'1': x}\nb: [x, y]\n")
    document.set("a.1=z")
    document.set("b.1=z")
    assert document.data == {"a": {"1": "z"}, "b": ["x", "z"]}
