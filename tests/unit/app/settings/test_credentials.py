"""Laws of credentials: they reach the clients, and nothing that is written or printed holds a secret."""

import json
from pathlib import Path

import pytest

from app.config import Settings, child_environment, load_settings
from app.day.request import run_settings
from app.errors import UsageError

SECRET = "-".join(["known", "to", "nobody"])
SASL = 'security_protocol = "SASL_SSL"\nsasl_username = "me"\n'


def loaded(tmp_path: Path, bus: str) -> Settings:
    file = tmp_path / "tidemark.toml"
    file.write_text(f"[bus]\n{bus}")
    return load_settings(file)


@pytest.mark.parametrize("way", ["file", "environment", "inline", "passthrough"])
def test_a_password_reaches_the_clients_whichever_way_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    if way == "environment":
        monkeypatch.setenv("TIDEMARK_BUS__SASL_PASSWORD", SECRET)
    told = {
        "file": f'sasl_password_file = "{tmp_path / "password"}"',
        "environment": "",
        "inline": f'sasl_password = "{SECRET}"',
        "passthrough": f'kafka = {{"sasl.password" = "{SECRET}"}}',
    }
    settings = loaded(tmp_path, SASL + told[way])
    assert settings.bus.client_settings() == {
        "security.protocol": "SASL_SSL",
        "sasl.username": "me",
        "sasl.password": SECRET,
    }


def with_every_secret(tmp_path: Path) -> Settings:
    return loaded(
        tmp_path,
        f'{SASL}sasl_password = "{SECRET}"\nssl_key_password = "{SECRET}"\n'
        f'schema_registry_username = "me"\nschema_registry_password = "{SECRET}"\n'
        f'kafka = {{"ssl.keystore.password" = "{SECRET}", "sasl.oauthbearer.client.secret" = "{SECRET}", '
        f'"consumer.ssl.key.pem" = "{SECRET}", "client.rack" = "b"}}\n',
    )


def test_no_way_to_show_the_settings_shows_a_secret(tmp_path: Path) -> None:
    settings = with_every_secret(tmp_path)
    config = run_settings(settings, [], prefix="p", bootstrap="h:1", folder=tmp_path, grace_ns=None)
    shown = [
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        str(settings.model_dump()),
        str(config),
    ]
    shown.append(str(settings.model_dump(mode="json", exclude={"bus": {"bootstrap"}})))
    assert not [text for text in shown if SECRET in text]
    assert config["bus"]["kafka"] == {"client.rack": "b"}


def test_what_an_unfinished_run_is_known_by_leaves_the_address_out(tmp_path: Path) -> None:
    dump = with_every_secret(tmp_path).model_dump(mode="json", exclude={"bus": {"bootstrap"}})
    assert "bootstrap" not in dump["bus"]
    assert dump["bus"]["sasl_username"] == "me"


def test_a_child_process_gets_by_its_environment_what_the_dump_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_every_secret(tmp_path)
    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)
    dump = settings.model_dump(mode="json", exclude_none=True)
    rest = loaded(
        tmp_path, "".join(f"{key} = {json.dumps(v)}\n" for key, v in dump["bus"].items() if key != "kafka")
    )
    assert rest.bus.client_settings() | {"client.rack": "b"} == settings.bus.client_settings()
    assert rest.bus.registry_settings() == {"basic.auth.user.info": f"me:{SECRET}"}


@pytest.mark.parametrize(
    ("bus", "named"),
    [
        (SASL, "TIDEMARK_BUS__SASL_PASSWORD"),
        (SASL + 'sasl_password_file = "absent"', "bus.sasl_password_file = absent: cannot read it"),
        (f'sasl_password = "{SECRET}"', "bus.sasl_password is for bus.security_protocol"),
        (f'{SASL}sasl_password = "{SECRET}"\nsasl_password_file = "x"', "one of them is enough"),
        (f'{SASL}sasl_password = "{SECRET}"\nkafka = {{"sasl.password" = "{SECRET}"}}', "one of them"),
        (f'sasl_password = ["{SECRET}"]', "bus.sasl_password: expected text in quotes"),
        (f'kafka = {{"sasl.password" = ["{SECRET}"]}}', "bus.kafka.sasl.password: expected text"),
        (f'kafka = ["{SECRET}"]', "bus.kafka"),
        (f'schema_registry = "https://me:{SECRET}@host"', "bus.schema_registry_username"),
        ('security_protocol = "TLS"', "bus.security_protocol = 'TLS'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_setting_and_shows_no_secret(
    tmp_path: Path, bus: str, named: str
) -> None:
    with pytest.raises(UsageError) as told:
        loaded(tmp_path, bus).bus.client_settings()
    assert named in str(told.value)
    assert SECRET not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_garbled_table_in_the_environment_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BUS__KAFKA", f'{{"sasl.password": {SECRET}')
    with pytest.raises(UsageError, match="environment: ") as told:
        load_settings(None)
    assert SECRET not in str(told.value)
