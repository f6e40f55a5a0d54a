"""The goals of the exporter's cost, as ratios of numbers that one run has measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.fleet import POLL_SECONDS
from bench.measuring import Numbers
from bench.packaged import SESSIONS
from bench.pbx import WRITES
from bench.thousands import Case
from bench.viewers import LOOKED_AT, MADE_ANEW, SIZES


@dataclass(frozen=True)
class Goal:
    """One goal, and what was measured."""

    name: str
    limit: str
    value: float


def reached(numbers: Numbers) -> list[Goal]:
    """The goals for which there are numbers."""
    return [*_goals(numbers), *_of_thousands(numbers)]


def _of_thousands(numbers: Numbers) -> Iterator[Goal]:
    for pbxs, sessions, cores, late in ((1000, 5, 0.45, None), (2000, 5, 0.9, 0.05)):
        case = Case(pbxs, sessions)
        scraped, counted = numbers.get(f"{case}, scraped"), numbers.get(f"{case}, counted")
        if scraped is None or counted is None:
            continue
        what = f"{pbxs} x {sessions}, scraped"
        yield Goal(f"{what}: cores of both processes", f"<= {cores}", scraped["cores"])
        if late is not None:
            gap = scraped["gap_p99_s"] / POLL_SECONDS
            yield Goal(f"{what}: p99 of the gaps / interval", f"<= {1 + late}", gap)
        missed = counted["bad_lines_lost"] / counted["bad_lines"]
        yield Goal(f"{what} and not: bad lines missed / all", "0", missed)


def _goals(numbers: Numbers) -> Iterator[Goal]:
    def of(what: str, unit: str = "cpu_ms") -> float | None:
        return numbers.get(what, {}).get(unit)

    def ratio(name: str, limit: str, of_this: float | None, to: float | None) -> Iterator[Goal]:
        if of_this is not None and to:
            yield Goal(name, limit, of_this / to)

    for writes in WRITES:
        ours = of(f"1000 sessions, written {writes}: exporter")
        stock = of(f"1000 sessions, written {writes}: panoramisk pipelined")
        many = of(f"5000 sessions, written {writes}: exporter")
        for name in ("floor", "floor with pauses"):
            floor = of(f"1000 sessions, written {writes}: {name}")
            yield from ratio(
                f"CPU of a poll of 1000, written {writes} / {name}", "<= 12", ours, floor
            )
        yield from ratio(
            f"CPU of panoramisk pipelined, written {writes} / ours", ">= 5", stock, ours
        )
        yield from ratio(f"CPU of 5000 sessions / of 1000, written {writes}", "<= 5.5", many, ours)
    rx = of("asterisk -rx 'fax show session N', per session", "wall_ms")
    real = next((v for n, v in numbers.items() if n.startswith("a real Asterisk")), {})
    yield from ratio(
        "wall time per session, asterisk -rx / ours, real Asterisk",
        ">= 100",
        rx,
        real.get("poll_wall_ms_per_session"),
    )
    if real:
        yield Goal(
            "core of Asterisk's own, 100 sessions at 1 Hz", "< 0.01", real["cores_of_our_thread"]
        )
    few, scrape = of("/metrics with 10 sessions"), of("/metrics with 5000 sessions")
    encoder = next((n for n in numbers if n.startswith("prometheus_client's encoder")), "")
    yield from ratio("CPU of /metrics, 5000 sessions / 10", "1", scrape, few)
    yield from ratio("CPU of /metrics / prometheus_client's encoder", "<= 2", scrape, of(encoder))
    theirs = of("writing of one PBX, compressed, by prometheus_client")
    yield from ratio(
        "CPU of writing a PBX' metrics, compressed / by prometheus_client",
        "<= 0.5",
        of("writing of one PBX, compressed"),
        theirs,
    )
    yield from ratio(
        "CPU of all of /probe, both processes / that writing alone by prometheus_client",
        "<= 1",
        of("/probe rendered anew"),
        theirs,
    )
    yield from ratio(
        "CPU of an unwanted event / of a completion event",
        "< 0.1",
        of("one unwanted event", "cpu_us"),
        of("one completion event", "cpu_us"),
    )
    reloads = [values["gap_max_s"] for values in numbers.values() if "reload_s" in values]
    if reloads:
        yield Goal("longest gap between polls during a reload / interval", "<= 1.1", max(reloads))
    alone = of("1 PBXs with 5 sessions each, at 1 Hz", "resident_mib")
    if alone is not None:
        yield Goal("resident MiB of both processes with one PBX", "< 110", alone)
    one = of("1 PBXs with 0 sessions each, at 1 Hz", "resident_mib")
    fleet = of("200 PBXs with 0 sessions each, at 1 Hz", "resident_mib")
    if one is not None and fleet is not None:
        yield Goal("resident KiB for each further PBX at rest", "< 50", (fleet - one) * 1024 / 199)
    yield from ratio(
        "CPU from start to first scrape / import of the libraries",
        "<= 2.5",  # two processes import most of them
        of("start to first scrape"),
        of("import of the libraries"),
    )
    for path in LOOKED_AT:
        small, large = (f"{pbxs} PBXs, one looks at {path}" for pbxs in SIZES)
        if path not in MADE_ANEW:
            yield from ratio(
                f"CPU of the next look at {path}, {SIZES[1]} PBXs / of the first",
                "<= 0.3",
                of(large, "next_cpu_ms"),
                of(large, "first_cpu_ms"),
            )
        yield from ratio(
            f"CPU of a look at {path}, {SIZES[1]} PBXs / {SIZES[0]}",
            "<= 12",
            of(large, "next_cpu_ms"),
            of(small, "next_cpu_ms"),
        )
        if (waited := of(large, "next_ms")) is not None:
            yield Goal(f"ms until {path} of {SIZES[1]} PBXs is there", "<= 300", waited)
    for name, what, unit in (
        ("CPU from start to first scrape", "start to first scrape", "cpu_ms"),
        ("time from start to first scrape", "start to first scrape", "wall_ms"),
        ("resident memory at the first scrape", "start to first scrape", "resident_mib"),
        ("CPU of polls", f"polls of {SESSIONS} sessions", "cores"),
    ):
        yield from ratio(
            f"{name}, package / pip install",
            "<= 1.25",
            of(f"package: {what}", unit),
            of(f"pip install: {what}", unit),
        )
