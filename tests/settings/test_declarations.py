"""What the tables of the documents are made from."""

import pytest

from exporter.settings import SETTINGS, Accepts, Setting


def of(flag: str) -> Setting:
    return next(setting for setting in SETTINGS if setting.flag == flag)


@pytest.mark.parametrize(
    ("flag", "variable", "group", "default"),
    [
        ("--ami.host", "FAX_EXPORTER_AMI_HOST", "Asterisk's manager interface (AMI)", "127.0.0.1"),
        ("--ami.tls", "FAX_EXPORTER_AMI_TLS", "Asterisk's manager interface (AMI)", "off"),
        ("--poll.interval", "FAX_EXPORTER_POLL_INTERVAL", "Polling", "1"),
        ("--web.listen-address", "FAX_EXPORTER_WEB_LISTEN_ADDRESS", "Web", ":10329"),
        ("--web.config.file", "FAX_EXPORTER_WEB_CONFIG_FILE", "Web", None),
        ("--config.shard", "FAX_EXPORTER_CONFIG_SHARD", "Several Asterisks", None),
        ("--demo", "FAX_EXPORTER_DEMO", "General", "off"),
    ],
)
def test_a_setting_has_its_names_its_group_and_its_default(
    flag: str, variable: str, group: str, default: str | None
) -> None:
    setting = of(flag)
    assert (setting.variable, setting.group) == (variable, group)
    assert setting.default == ("not set by default" if default is None else f"default {default}")


def test_what_has_to_be_set_and_what_is_secret_are_known() -> None:
    required = [setting.flag for setting in SETTINGS if setting.default == "required"]
    assert required == ["--ami.username"]
    assert [setting.variable for setting in SETTINGS if setting.is_secret] == [
        "FAX_EXPORTER_AMI_SECRET"
    ]
    assert of("--ami.secret").default == "not set by default"


def test_every_setting_says_what_it_does_and_what_it_takes() -> None:
    for setting in SETTINGS:
        assert setting.description.endswith(".")
        assert setting.accepts.what
        assert bool(setting.accepts.metavar) != setting.is_switch
    assert of("--ami.port").accepts == Accepts("PORT", "a number from 1 to 65535")
    assert of("--demo").accepts == Accepts("", "true or false")


def test_settings_stand_in_the_order_of_their_groups() -> None:
    groups = list(dict.fromkeys(setting.group for setting in SETTINGS))
    assert len(groups) == 8
    assert [s.group for s in sorted(SETTINGS, key=lambda s: groups.index(s.group))] == [
        s.group for s in SETTINGS
    ]
