"""What a resolution is called."""

import pytest

from exporter.fax import named_resolution


@pytest.mark.parametrize(
    ("resolution", "word", "name", "dpi"),
    [
        ((8031, 3850), "standard", "standard", (204, 98)),
        ((8031, 7700), "fine", "fine", (204, 196)),
        ((8031, 15400), "superfine", "superfine", (204, 391)),
        ((11811, 11811), "300x300dpi", None, (300, 300)),
    ],
)
def test_it_has_its_name_in_the_trade_or_dots_per_inch(
    resolution: tuple[int, int], word: str, name: str | None, dpi: tuple[int, int]
) -> None:
    named = named_resolution(resolution)
    assert (named.word, named.name, (named.dpi_x, named.dpi_y)) == (word, name, dpi)
