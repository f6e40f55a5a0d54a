"""The floods, each a small class: what one connection of it does, and how many there are."""

from typing import Final

from tests.trials.siege.attacking import Attack, Flood
from tests.trials.siege.floods import (
    guesses,
    heads,
    logs,
    places,
    reloads,
    rendering,
    web_file,
)

_FLOODS: Final[tuple[type[Flood], ...]] = (
    heads.Trailers,
    heads.ChunkExtensions,
    heads.Upgrades,
    heads.Heads,
    heads.EndlessLines,
    heads.SlowHeads,
    heads.SlowBodies,
    heads.Garbage,
    places.Deaf,
    places.DeafFromManyAddresses,
    places.Slow,
    places.Idle,
    places.ConnectAndClose,
    rendering.Page,
    rendering.Api,
    rendering.Formats,
    logs.Expectations,
    logs.Malformed,
    places.DeafWithUsers,
    places.OpenPaths,
    web_file.Truncation,
    guesses.GuessesFromEight,
    guesses.GuessesFromMany,
    heads.TlsHeads,
    heads.EndlessHandshakes,
    places.HalfOpenTls,
    rendering.Handshakes,
    rendering.Probes,
    logs.FewDescriptors,
    reloads.Reloads,
    reloads.AbandonedReloads,
    reloads.Hangups,
)

_TOGETHER: Final = (
    Attack(
        "six at once",
        (heads.Trailers, heads.Heads, places.Deaf, rendering.Page, logs.Malformed, places.Idle),
    ),
    Attack(
        "four at once, with users",
        (places.DeafWithUsers, places.OpenPaths, guesses.GuessesFromEight, heads.Upgrades),
    ),
    Attack(
        "three at once, over TLS",
        (heads.TlsHeads, places.HalfOpenTls, rendering.Handshakes),
    ),
)

ATTACKS: Final = (*(Attack(flood.name, (flood,)) for flood in _FLOODS), *_TOGETHER)
"""Each flood by itself, then several together."""
