"""Every wait of the shipped rules is shorter where a test needs them so."""

import re

from harness.rules import RULES, hastened, shortened

WAIT = re.compile(
    r"(?:\[|\boffset |^ *(?:for|keep_firing_for|interval): )([^\]\s,)]+)|(?<=:)(\w+)(?=\])",
    re.MULTILINE,
)


def waits(text: str) -> list[str]:
    """Every range, step, offset, `for:` and so on, of expressions, not of comments and patterns."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [one or other for one, other in WAIT.findall("\n".join(lines))]
    return [one for whole in found for one in whole.split(":") if re.match(r"\d", one)]


def test_no_wait_is_left_out() -> None:
    before, after = waits(RULES.read_text()), waits(shortened(RULES.read_text(), 60))
    assert len(before) == len(after) > 100
    assert {one for one in after if not one.endswith("ms")} == set()


def test_a_wait_of_several_units_is_one_wait() -> None:
    assert shortened("x[6d23h59m:6h] offset 1w", 60) == "x[10079000ms:360000ms] offset 10080000ms"
    assert hastened("  for: 1h30m\n  expr: x[1h:1m]", 60) == "  for: 90000ms\n  expr: x[1h:1m]"
