"""The texts of an alert as templates: what is in braces is a label, the value or a figure."""

from alerts import templates
from alerts.rules import Alert, Figure, Listing

ALERT = Alert(
    "AsteriskFaxX",
    "pbx:asterisk_fax_x:sum > 1",
    wait="1m",
    severity="warning",
    summary="{value:percent} at {labels.instance}",
    description="{value} of {all:.1f}, by reason:{reasons}.",
    figures={
        "all": Figure('pbx:asterisk_fax_x:sum{reason="a"}'),
        "reasons": Listing("asterisk_fax_x", by="reason", but=("reason",), none="none"),
    },
)


def test_a_summary_has_labels_and_the_value() -> None:
    assert templates.summary(ALERT) == (
        "{{ $value | humanizePercentage }} at {{ $labels.instance }}"
    )


def test_a_figure_is_asked_for_with_all_labels_but_those_it_has_not() -> None:
    text = templates.description(ALERT)
    assert '{{ $of := "" }}' in text
    assert '(eq $k "__name__" "rules" "reason")' in text
    asked = '{{ range print `pbx:asterisk_fax_x:sum{rules="asterisk-fax", ` $of ` reason="a"}` | '
    assert asked + 'query }}{{ .Value | printf "%.1f" }}{{ end }}' in text
    assert '{{ range print `asterisk_fax_x{` $of1 `}` | query | sortByLabel "reason" }}' in text
    assert text.endswith("{{ else }} none{{ end }}.")
    assert '{{ $value | printf "%.0f" }} of' in text
