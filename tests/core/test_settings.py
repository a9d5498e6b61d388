"""Settings come from the environment; every fault is one sentence that says how to mend it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.settings import (
    GROUPS,
    MEMBER_COLUMNS,
    DirectorySettings,
    IntercomSettings,
    MemberSettings,
    MySQLSettings,
    RunSettings,
    Settings,
    SettingsError,
    SupabaseSettings,
    is_secret,
    load,
)

VALID = {
    "INTERCOM_ACCESS_TOKEN": "dG9rOjEyMzQ=",
    "SUPABASE_URL": "https://abcd.supabase.co",
    "SUPABASE_KEY": "sb_secret_1234",
    "MYSQL_HOST": "127.0.0.1",
    "MYSQL_USER": "reader",
    "MYSQL_PASS": "s3cret wörd",
    "MYSQL_DB": "natca",
    "INTERCOM_CLIENT_SECRET": "a1b2c3d4",
}
FIELDS = {str(field.alias): (group, field) for group in GROUPS for field in group.model_fields.values()}
REQUIRED = sorted(variable for variable, (_, field) in FIELDS.items() if field.is_required())
OPTIONAL = sorted(FIELDS.keys() - set(REQUIRED))

MALFORMED = [
    ("INTERCOM_REGION", "mars"),
    ("INTERCOM_REGION", "US"),
    ("INTERCOM_URL", "api.intercom.io"),
    ("INTERCOM_URL", "ftp://api.intercom.io"),
    ("INTERCOM_URL", "https://"),
    ("INTERCOM_URL", "https://api.intercom.io/a b"),
    ("INTERCOM_RESERVE", "1"),
    ("INTERCOM_RESERVE", "-0.1"),
    ("INTERCOM_RESERVE", "5%"),
    ("INTERCOM_RESERVE", "nan"),
    ("INTERCOM_CONCURRENCY", "0"),
    ("INTERCOM_CONCURRENCY", "201"),
    ("INTERCOM_CONCURRENCY", "many"),
    ("INTERCOM_TIMEOUT_SECONDS", "0"),
    ("INTERCOM_TIMEOUT_SECONDS", "30s"),
    ("INTERCOM_MAX_ATTEMPTS", "0"),
    ("INTERCOM_MAX_ATTEMPTS", "21"),
    ("INTERCOM_MAX_ATTEMPTS", "1.5"),
    ("INTERCOM_CREATE_ATTRIBUTES", "perhaps"),
    ("SUPABASE_URL", "abcd.supabase.co"),
    ("SUPABASE_TIMEOUT_SECONDS", "-1"),
    ("MYSQL_PORT", "0"),
    ("MYSQL_PORT", "65536"),
    ("MYSQL_TIMEOUT_SECONDS", "0"),
    ("MYSQL_TIMEOUT_SECONDS", "inf"),
    ("MYSQL_TLS", "yes"),
    ("MYSQL_MEMBERS_TABLE", "mem`bers"),
    ("MYSQL_MEMBERS_TABLE", "members%s"),
    ("MYSQL_MEMBERS_TABLE", "natca.members"),
    ("MYSQL_MEMBERS_TABLE", "x" * 65),
    ("MYSQL_COLUMNS", "e_mail"),
    ("MYSQL_COLUMNS", "mail=e_mail"),
    ("MYSQL_COLUMNS", "region_id=region"),
    ("MYSQL_COLUMNS", "email=a,email=b"),
    ("MYSQL_COLUMNS", "email=a=b"),
    ("MYSQL_COLUMNS", "email="),
    ("MYSQL_COLUMNS", "email=a,"),
    ("MYSQL_COLUMNS", "email=a`b"),
    ("MYSQL_COLUMNS", "email=a%(b)s"),
    ("MEMBER_SOURCES", "oracle"),
    ("MEMBER_SOURCES", "supabase,supabase"),
    ("MEMBER_SOURCES", "supabase;mysql"),
    ("MEMBER_SOURCES", ","),
    ("PHONE_REGION", "usa"),
    ("CURRENT_MEMBER_TYPE_ID", "six"),
    ("MEMBER_CACHE_REFRESH_SECONDS", "0"),
    ("MEMBER_CACHE_MAX_AGE_SECONDS", "a day"),
    ("INTERCOM_ADMIN_ID", "ada@union.example"),
    ("INTERCOM_SEARCH_LAG_SECONDS", "-1"),
    ("WEBHOOK_PORT", "http"),
    ("WEBHOOK_CONCURRENCY", "0"),
    ("WEBHOOK_MAX_ATTEMPTS", "0"),
    ("RUNS_KEEP_DAYS", "0"),
    ("RUN_ID", "../elsewhere"),
    ("RUN_ID", "a/b"),
    ("RUN_ID", "x" * 64),
    ("METRICS_PORT", "65536"),
    ("METRICS_PORT", "http"),
    ("LOG_LEVEL", "LOUD"),
]


def sentence_on(variable: str, value: str | None) -> str:
    """The text of the error when one variable is bad and all others are good."""
    environment = {**VALID} if value is None else {**VALID, variable: value}
    if value is None:
        del environment[variable]
    with pytest.raises(SettingsError) as caught:
        load(FIELDS[variable][0], environment)
    return str(caught.value)


@pytest.mark.parametrize("variable", REQUIRED)
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_or_blank_variable_is_named_with_an_example(variable: str, value: str | None) -> None:
    field = FIELDS[variable][1]
    sentence = sentence_on(variable, value)
    assert sentence.startswith(f"{variable} is not set: {field.description}")
    assert sentence.endswith(f"for example {variable}={(field.examples or [])[0]}.")
    assert "\n" not in sentence


@pytest.mark.parametrize(("variable", "value"), MALFORMED)
def test_a_malformed_variable_is_named_with_its_value_a_rule_and_an_example(variable: str, value: str) -> None:
    field = FIELDS[variable][1]
    start, _, rest = sentence_on(variable, value).partition(": ")
    rule, _, mend = rest.partition(f". {field.description} ")
    assert start == f"{variable} cannot be {value!r}"
    assert rule
    assert mend == f"Correct it, for example {variable}={(field.examples or [])[0]}."


@pytest.mark.parametrize("variable", ["INTERCOM_ACCESS_TOKEN", "SUPABASE_KEY"])
@pytest.mark.parametrize("value", ["tok en4711", "tøken4711", "••••4711", "token\x004711", "token\n4711"])
def test_a_malformed_secret_is_never_shown(variable: str, value: str) -> None:
    """No header could carry these, and the library's own complaint would quote them."""
    sentence = sentence_on(variable, value)
    assert sentence.startswith(f"{variable} cannot be its value (not shown): ")
    assert "4711" not in sentence


def test_tokens_and_keys_are_the_secrets() -> None:
    assert [name for name, (_, field) in FIELDS.items() if is_secret(field)] == [
        "INTERCOM_ACCESS_TOKEN",
        "SUPABASE_KEY",
        "MYSQL_PASS",
        "INTERCOM_CLIENT_SECRET",
        "WEBHOOK_STORE",
        "LOOKUP_KEYS",
    ]


def test_a_secret_is_hidden_in_the_settings_themselves() -> None:
    assert "dG9r" not in repr(load(IntercomSettings, VALID))
    assert "sb_secret" not in str(load(SupabaseSettings, VALID))
    assert "s3cret" not in str(load(MySQLSettings, VALID))


def test_a_password_may_have_any_letters() -> None:
    """Unlike a key, which has to fit into a header."""
    assert load(MySQLSettings, VALID).password.get_secret_value() == "s3cret wörd"


def test_only_the_columns_that_are_named_have_other_names() -> None:
    assert load(MySQLSettings, VALID).columns == {name: name for name in MEMBER_COLUMNS}
    renamed = load(MySQLSettings, VALID | {"MYSQL_COLUMNS": " email = e-mail , membernumber=Member No$"}).columns
    assert list(renamed) == list(MEMBER_COLUMNS)
    assert renamed | {"email": "email", "membernumber": "membernumber"} == {name: name for name in MEMBER_COLUMNS}
    assert (renamed["email"], renamed["membernumber"]) == ("e-mail", "Member No$")


def test_the_sources_are_known_and_whether_somebody_chose_them() -> None:
    by_default, chosen = load(DirectorySettings, {}), load(DirectorySettings, {"MEMBER_SOURCES": "mysql , supabase"})
    assert (by_default.names, by_default.chosen) == (("supabase", "mysql"), False)
    assert (chosen.names, chosen.chosen) == (("mysql", "supabase"), True)


def test_all_faults_are_told_at_once_one_sentence_a_line() -> None:
    with pytest.raises(SettingsError) as caught:
        load(IntercomSettings, {"INTERCOM_REGION": "mars", "INTERCOM_CONCURRENCY": "0"})
    first_words = [line.split()[0] for line in str(caught.value).splitlines()]
    assert sorted(first_words) == ["INTERCOM_ACCESS_TOKEN", "INTERCOM_CONCURRENCY", "INTERCOM_REGION"]


@pytest.mark.parametrize("variable", OPTIONAL)
def test_a_blank_optional_variable_means_its_default(variable: str) -> None:
    group = FIELDS[variable][0]
    assert load(group, {**VALID, variable: "  "}) == load(group, VALID)


@pytest.mark.parametrize("variable", sorted(FIELDS))
def test_every_example_is_a_valid_value(variable: str) -> None:
    group, field = FIELDS[variable]
    assert isinstance(load(group, {**VALID, variable: (field.examples or [])[0]}), group)


@given(st.sampled_from(["", " ", "\n", "\t \n"]), st.sampled_from(["", " ", "\n"]))
def test_space_around_a_value_does_not_matter(before: str, after: str) -> None:
    """Secrets in files and in Kubernetes often end with a line break."""
    padded = {name: before + value + after for name, value in {**VALID, "INTERCOM_REGION": "eu"}.items()}
    settings = load(IntercomSettings, padded)
    assert (settings.access_token.get_secret_value(), settings.region) == ("dG9rOjEyMzQ=", "eu")
    assert load(SupabaseSettings, padded) == load(SupabaseSettings, VALID)


def test_the_defaults() -> None:
    intercom, run = load(IntercomSettings, VALID), load(RunSettings, {})
    assert (intercom.region, intercom.reserve, intercom.concurrency) == ("us", 0.05, 50)
    assert (intercom.timeout_seconds, intercom.max_attempts, intercom.create_attributes) == (30, 6, True)
    assert load(SupabaseSettings, VALID).schema_name == "public"
    mysql = load(MySQLSettings, VALID)
    assert (mysql.port, mysql.timeout_seconds, mysql.tls, mysql.tls_ca) == (3306, 20, "preferred", None)
    assert (mysql.table, mysql.columns["email"]) == ("members", "email")
    assert load(MemberSettings, {}).model_dump() == {
        "phone_region": "US",
        "current_type_id": 6,
        "current_type_name": "Current Member",
        "retired_type_name": "Retired Member",
    }
    assert (run.runs_dir, run.run_id, run.metrics_port, run.log_level) == (Path("runs"), None, None, "INFO")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "https://api.intercom.io"),
        ({"INTERCOM_REGION": "us"}, "https://api.intercom.io"),
        ({"INTERCOM_REGION": "eu"}, "https://api.eu.intercom.io"),
        ({"INTERCOM_REGION": "au"}, "https://api.au.intercom.io"),
        ({"INTERCOM_REGION": "eu", "INTERCOM_URL": "http://127.0.0.1:8080/"}, "http://127.0.0.1:8080"),
    ],
)
def test_the_region_has_its_host_and_a_url_goes_before_it(environment: dict[str, str], address: str) -> None:
    assert load(IntercomSettings, VALID | environment).base_url == address


@pytest.mark.parametrize("group", GROUPS)
def test_only_the_given_mapping_is_read(group: type[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in FIELDS:
        monkeypatch.setenv(variable, "?")
    assert isinstance(load(group, VALID), group)


def test_other_variables_do_not_matter() -> None:
    assert load(MemberSettings, {"PATH": "/bin", "phone_region": "xx"}).phone_region == "US"
