"""Every selector gets its matchers, and nothing else is taken for one."""

import pytest

from alerts.promql import chosen, increase


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("asterisk_fax_up", 'asterisk_fax_up{job!=""}'),
        ("up == 0", 'up{job!=""} == 0'),
        (
            'asterisk_fax_sessions{operation="send"}[5m]',
            'asterisk_fax_sessions{job!="", operation="send"}[5m]',
        ),
        (
            "pbx:asterisk_fax_up:max * asterisk_fax_up",
            'pbx:asterisk_fax_up:max{rules="asterisk-fax"} * asterisk_fax_up{job!=""}',
        ),
        ('label_replace(x, "up", "asterisk_fax_up", "", "")', None),
    ],
)
def test_a_selector_is_of_what_these_rules_watch(written: str, read: str | None) -> None:
    assert chosen(written) == (read or written)


def test_in_a_text_it_is_of_one_alert() -> None:
    assert chosen("rate(asterisk_fax_polls_total[5m])", "OF") == (
        "rate(asterisk_fax_polls_total{OF}[5m])"
    )
    assert chosen("pbx:asterisk_fax_up:max", "OF") == (
        'pbx:asterisk_fax_up:max{rules="asterisk-fax", OF}'
    )


def test_an_increase_is_the_larger_of_two_exporters_and_a_sum_over_what_is_named() -> None:
    assert increase("x_total", "1h") == "max without (replica) (increase(x_total[1h]))"
    assert increase("x_total", "1h", "operation", "state") == (
        "sum without (operation, state) (max without (replica) (increase(x_total[1h])))"
    )
