"""Mappings files: every fault is listed with its place before anything is called, and what failed can be fed back."""

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mynatca_syncjob.__main__ import run
from mynatca_syncjob.mappings import Decision, MappingsError, parse_mappings, read_mappings

GOOD = [{"contact_id": "65f0c1", "member_number": "12345"}, {"contact_id": "65f0c2", "member_number": 678}]
DECISIONS = [Decision("65f0c1", "12345"), Decision("65f0c2", "678")]


def faults(text: str) -> str:
    with pytest.raises(MappingsError) as error:
        parse_mappings(text, "file")
    return str(error.value)


def test_json_and_csv_say_the_same() -> None:
    csv = "contact_id,member_number\n65f0c1, 12345\n65f0c2,678\n"

    assert parse_mappings(json.dumps(GOOD), "file") == DECISIONS
    assert parse_mappings(csv, "file") == DECISIONS


def test_a_file_and_standard_input_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spreadsheet's byte order mark is no part of the first name."""
    file = tmp_path / "mappings.csv"
    file.write_text("\ufeffcontact_id,member_number\n65f0c1,12345\n65f0c2,678\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(GOOD)))

    assert read_mappings(str(file)) == read_mappings("-") == DECISIONS


def test_an_empty_list_is_no_fault() -> None:
    assert parse_mappings("[]", "file") == []


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"contact_id": "a", "member_number": "1", "memo": "x"}, "row 1 has the unknown key memo"),
        ({"member_number": "1"}, "row 1 lacks contact_id"),
        ({"contact_id": "a"}, "row 1 lacks member_number"),
        ({"contact_id": " ", "member_number": "1"}, "row 1 lacks contact_id"),
        ({"contact_id": "a", "member_number": True}, "row 1 lacks member_number"),
        ({"contact_id": "a", "member_number": ["1"]}, "row 1 lacks member_number"),
        ({"contact_id": "../me", "member_number": "1"}, "row 1 has a contact_id that no contact has"),
        ("65f0c1", "row 1 is not an object"),
    ],
)
def test_a_fault_is_named_with_its_row(row: object, fault: str) -> None:
    assert fault in faults(json.dumps([row]))


def test_all_faults_are_listed_at_once() -> None:
    told = faults(json.dumps([{"contact_id": "a"}, GOOD[0], {"member_number": "1", "x": 1}]))

    assert [line.split(" ")[1] for line in told.splitlines()[1:]] == ["1", "3", "3"]


def test_a_contact_or_member_may_be_there_once() -> None:
    told = faults("contact_id,member_number\na,1\na,2\nb,1\n")

    assert "row 2 names the same contact as row 1" in told
    assert "row 3 names the same member as row 1" in told


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[{]", "no JSON (line 1)"),
        ('{"contact_id": "a", "member_number": "1"}', "not a list"),
        ("contact;member\na;1\n", "head line contact_id,member_number"),
        ("", "head line contact_id,member_number"),
        ('contact_id,member_number\n"a,1\n', "no CSV"),
        ("contact_id,member_number\na\n", "row 1 lacks member_number"),
        ("contact_id,member_number\na,1,2\n", "row 1 has the unknown key"),
    ],
)
def test_what_is_neither_json_nor_csv_is_told_so(text: str, fault: str) -> None:
    assert fault in faults(text)


@given(st.text())
@example("[" * 100_000)
@example(f'[{{"contact_id": {"1" * 5000}, "member_number": "1"}}]')
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but `MappingsError` comes of whatever a person has in a file."""
    try:
        read = parse_mappings(text, "file")
    except MappingsError:
        return
    assert all(each.contact_id and each.member_number for each in read)


def test_of_a_result_that_is_fed_back_only_what_failed_is_taken() -> None:
    rows = [
        {"contact_id": "a", "member_number": "1", "outcome": "updated", "reason": None},
        {"contact_id": "b", "member_number": "2", "outcome": "failed", "reason": "500 server_error"},
        {"contact_id": "c", "member_number": "3", "outcome": "not_reached", "reason": None},
    ]

    assert parse_mappings(json.dumps(rows), "file") == [Decision("b", "2"), Decision("c", "3")]


def test_a_bad_file_ends_with_2_before_any_setting_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mappings.json"
    file.write_text('[{"contact_id": "a"}]')

    assert run(["manual-update", str(file)], {}) == 2
    assert "row 1 lacks member_number" in capsys.readouterr().err
    assert run(["manual-update", str(tmp_path / "missing.json")], {}) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_file_that_is_no_text_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "mappings.xls"
    file.write_bytes(b"\xd0\xcf\x11\xe0")

    with pytest.raises(MappingsError, match="not UTF-8"):
        read_mappings(str(file))
