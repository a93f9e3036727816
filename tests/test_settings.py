"""Settings: lists in the environment, errors that name the setting, the documented defaults."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from datetime import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from docs import tables
from streams.errors import SettingsError
from streams.settings import Settings, describe_problem

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("feeds", "alerts", "console", "streams")


@pytest.mark.parametrize("text", ["3,4", " 3 , 4 ", "[3, 4]", "[3,4]"])
def test_a_list_parameter_is_comma_separated_or_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MARGINWATCH_PARAMETERS__STREAK_FLAGS", text)
    assert Settings().parameters.streak_flags == (3, 4)


@pytest.mark.parametrize("text", ["000300.SH", '["000300.SH"]'])
def test_a_list_parameter_may_have_one_element(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MARGINWATCH_PARAMETERS__TIMING_INDICES", text)
    assert Settings().parameters.timing_indices == ("000300.SH",)


def test_parameters_as_one_json_object_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARGINWATCH_PARAMETERS", '{"streak_flags": [3, 4], "ratio_hot": 0.11}')
    assert (Settings().parameters.streak_flags, Settings().parameters.ratio_hot) == ((3, 4), 0.11)


@pytest.mark.parametrize("text", ["SSE,SZSE,BSE", '["SSE", "SZSE", "BSE"]'])
def test_exchanges_are_comma_separated_or_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MARGINWATCH_EXCHANGES", text)
    assert Settings().exchanges == ("SSE", "SZSE", "BSE")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("PARAMETERS__STREAK_FLAGS", "five,eight", r"parameters\.streak_flags\.0\n.*valid integer"),
        ("PARAMETERS__STREAK_FLAGS", "[3, 4", r"parameters\.streak_flags: '\[3, 4' is no JSON list: write it as"),
        ("PARAMETERS__STREAK_FLAGS", "3", r"parameters\.streak_flags\.1\n"),
        ("PARAMETERS__STREAK_FLAGS", "", r"parameters\.streak_flags\.0\n.*valid integer"),
        ("PARAMETERS__STREAK_FLAG", "3,4", r"parameters\.streak_flag\n"),
        ("PARAMETERS__RATIO_HOT", "hot", r"parameters\.ratio_hot\n.*valid number"),
        ("PARAMETERS__RATIO_HOT", "nan", r"parameters\.ratio_hot\n.*finite number"),
        ("PARAMETERS__EXPANDING_SINCE", "2016-13-01", r"expanding_since is '2016-13-01': write a date, such as"),
        ("PARAMETERS__VALUATION_SINCE", "1990", r"valuation_since is '1990': write a date, such as"),
        ("PARAMETERS__OVERSOLD_REFERENCE", "then", r"oversold_reference is 'then': write a date, such as"),
        ("TOPIC_PREFIX", "a b", r"topic_prefix\n.*should match pattern"),
        ("TOPIC_PREFIX", "融资.", r"topic_prefix\n.*should match pattern"),
        ("TOPIC_PREFIX", "x" * 201, r"topic_prefix\n.*should match pattern"),
        ("NAMESPACE", "", r"namespace\n.*should match pattern"),
        ("NAMESPACE", "{mw}", r"namespace\n.*should match pattern"),
        ("GROUP", " ", r"group\n.*should match pattern"),
        ("STALL_AFTER_S", "inf", r"stall_after_s\n.*finite number"),
        ("PARAMETERS__RATIO_HOT", "0.09", r"ratio_breakdown 0\.1, ratio_hot 0\.09: each must be at most the next one"),
        ("PARAMETERS__RATIO_COLD", "0.11", r"ratio_cold 0\.11, ratio_breakdown 0\.1"),
        ("PARAMETERS__PERCENTILE_DAYS", "100", r"percentile_least 250, percentile_days 100"),
        ("PARAMETERS__STREAK_FLAGS", "8,5", r"streak_flags are \(8, 5\): write the shorter streak first"),
        ("REDIS_URL", "nonsense", r"redis_url\n.*no URL of Redis: write redis://HOST:PORT/0"),
        ("REDIS_URL", "redis://host:port/0", r"redis_url\n.*no URL of Redis"),
        ("KAFKA_URL", "", r"kafka_url\n.*an address is empty: write HOST:PORT"),
        ("KAFKA_URL", "kafka://one:9092,", r"kafka_url\n.*an address is empty"),
        ("EXCHANGES", "SSE,NYSE", r"unknown exchange NYSE: choose from SSE"),
    ],
)
def test_nonsense_in_the_environment_is_an_error_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    monkeypatch.setenv(f"MARGINWATCH_{name}", text)
    with pytest.raises(ValidationError, match=message):
        Settings()


def test_the_table_of_settings_shows_defaults_in_plain_text() -> None:
    table = tables.settings()
    assert "| `MARGINWATCH_REDIS_URL` | `redis://127.0.0.1:6379/0` |" in table
    assert "***" not in table


def test_settings_load_no_rule() -> None:
    code = "import sys, streams.settings; print(*(m for m in sys.modules if m.startswith('alerts.rules')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_above_the_processors_only_settings_build_default_parameters() -> None:
    found = [
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Parameters"
    ]
    assert found == ["streams/settings.py"]


def test_a_settings_file_that_is_missing_or_no_toml_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("MARGINWATCH_CONFIG", str(path))
    with pytest.raises(SettingsError, match="which is no file"):
        Settings()
    path.write_text("group = ")
    with pytest.raises(SettingsError, match="is no TOML"):
        Settings()
    path.write_bytes("group = '两融'".encode("gbk"))
    with pytest.raises(SettingsError, match=r"settings.toml can't be read \(it is not UTF-8\): write it in UTF-8"):
        Settings()


def test_a_folder_with_the_name_of_the_settings_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Docker makes one for a file to mount that does not exist: the defaults would be used without notice."""
    (tmp_path / "marginwatch.toml").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"marginwatch.toml is a folder: remove it"):
        Settings()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_settings_file_of_another_user_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "marginwatch.toml"
    path.touch(mode=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"marginwatch.toml can't be read \(Permission denied\)"):
        Settings()


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ('groop = "a"', {}, "groop in marginwatch.toml: no such setting: did you mean group? Otherwise remove it"),
        ("xyz = 1", {}, "xyz in marginwatch.toml: no such setting: remove it"),
        ("[parameters]\nratio_hott = 1", {},
         "parameters.ratio_hott in marginwatch.toml: no such setting: did you mean ratio_hot? Otherwise remove it"),
        ("http_port = 99999", {}, "http_port in marginwatch.toml: Input should be less than or equal to 65535"),
        ("", {"PARAMETERS__RATIO_HOTT": "1"},
         "MARGINWATCH_PARAMETERS__RATIO_HOTT: no such setting: did you mean ratio_hot? Otherwise remove it"),
        ("", {"CHANNELS": '{"desk": {"kind": "webhook"}}'},
         "MARGINWATCH_CHANNELS.desk: Value error, give url or url_file, one of them"),
    ],
)  # fmt: skip
def test_a_setting_that_can_t_be_is_described_by_its_place_and_a_remedy(
    text: str, environment: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "marginwatch.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(f"MARGINWATCH_{name}", value)
    with pytest.raises(ValidationError) as found:
        Settings()
    assert [describe_problem(problem) for problem in found.value.errors()] == [said]


@pytest.mark.parametrize("name", ["DEADLINES", "CHANNELS", "PARAMETERS"])
@pytest.mark.parametrize("value", ["margin.daily = 09:10", "[1]", "x"])
def test_a_table_in_the_environment_is_a_json_object(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MARGINWATCH_{name}", value)
    with pytest.raises(
        SettingsError, match=rf"MARGINWATCH_{name} .* no JSON object: .* a table \[{name.lower()}\]"
    ) as found:
        Settings()
    assert value not in str(found.value)


def test_the_deadlines_of_the_documentation_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs/pages/operations/settings.md").read_text("utf-8")
    (given,) = re.findall(r"MARGINWATCH_DEADLINES='(.*)'", text)
    (table,) = re.findall(r"```toml\n(\[deadlines\].*?)```", text, re.DOTALL)
    (tmp_path / "marginwatch.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    of_file = Settings().deadlines
    monkeypatch.setenv("MARGINWATCH_DEADLINES", given)
    assert Settings().deadlines == of_file == {"margin.daily": time(9, 10), "margin.market": time(9, 10)}


def test_a_file_with_another_url_than_one_of_redis_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "redis-url"
    with pytest.raises(SettingsError, match=r"redis_url_file .*redis-url: .*No such file"):
        _ = Settings(redis_url_file=path).redis
    path.write_text("secret")
    with pytest.raises(SettingsError, match=r"no URL of Redis") as found:
        _ = Settings(redis_url_file=path).redis
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MARGINWATCH_KAFKA_ULR", "did you mean MARGINWATCH_KAFKA_URL"),
        ("MARGINWATCH_PARAMETER__RATIO_HOT", "did you mean MARGINWATCH_PARAMETERS"),
        ("MARGINWATCH_XYZZY", "unset it"),
    ],
)
def test_a_variable_that_is_no_setting_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"{name} in the environment is no setting: {hint}"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MARGINWATCH_DATA", "/data"),
        ("MARGINWATCH_SERVICE_HOST", "10.0.0.1"),
        ("MARGINWATCH_SERVICE_PORT_HTTP", "6066"),
        ("MARGINWATCH_PORT", "tcp://10.0.0.1:6066"),
        ("MARGINWATCH_PORT_6066_TCP_PROTO", "tcp"),
        ("MARGINWATCH_PORT_6066_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_variables_of_tests_and_of_kubernetes_are_none_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert Settings().kafka_url


def test_a_token_of_the_console_is_too_long_to_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARGINWATCH_CONSOLE_TOKEN", "t0ken")
    with pytest.raises(ValidationError, match="the token has 5 characters: write at least 8") as found:
        Settings()
    assert "t0ken" not in str(found.value)
    monkeypatch.setenv("MARGINWATCH_CONSOLE_TOKEN", "t" * 16)
    assert Settings().console_token is not None
