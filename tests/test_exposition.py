"""What is written of the metrics is, byte for byte, what prometheus_client writes of them."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import metrics
from exporter.exposition import MAX_KEPT, Encoder, encoder
from exporter.fax import FaxStats, Operation, Reason, State, Transport
from exporter.ledger import Exemplar, Gauges, Histogram, PeerTotals, Totals
from exporter.metrics import Counted, Declared, Family, Kind, Labels, Summary, Value, When
from exporter.polling import Counts, Status
from harness.reference import registry, written

FORMATS: Final = [(False, False), (True, False), (False, True), (True, True)]
"""In OpenMetrics or not, with `escaping=dots` or not."""

# What UTF-8 has no bytes for, neither writes.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", '"', "\\", "\n", '\\"\n', "\\n", "ü\u2028", 'a{b="c"} 1\n# EOF\n']),
)
floats = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e5, 999999.0, 1e6, 1234567.0, 1e16, 1e22, 5e-324, 0.1 + 0.2]),
)
integers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 999_999, 1_000_000, 1_000_001, 10**15, 2**53 + 1, 10**22]),
)
numbers = st.one_of(integers, floats, st.booleans())
exemplars = st.builds(Exemplar, texts, numbers, st.one_of(st.floats(0, 2e9), st.integers(0, 2**31)))


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    # Below 0 there are none, and without a sum, which is all that would differ.
    bounds = draw(st.lists(st.integers(0, 10**7), max_size=6, unique=True).map(sorted))
    histogram = Histogram(tuple(bounds))
    histogram.counts = [draw(st.integers(0, 2**60)) for _ in histogram.counts]
    histogram.sum = draw(floats)
    histogram.exemplars = draw(st.dictionaries(st.integers(0, len(bounds)), exemplars))
    return histogram


values: Final[dict[Kind, st.SearchStrategy[Value]]] = {
    Kind.GAUGE: numbers,
    Kind.COUNTER: st.one_of(numbers, st.builds(Counted, numbers, st.none() | exemplars)),
    Kind.HISTOGRAM: histograms(),
    Kind.SUMMARY: st.builds(Summary, integers, floats),
}
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)


@st.composite
def families(draw: st.DrawFn) -> Family:
    kind = draw(st.sampled_from(Kind))
    name = draw(names) + draw(st.sampled_from(["", "_total", "_seconds"]))
    labels = tuple(draw(st.lists(names.filter(lambda one: one != "le"), max_size=3, unique=True)))
    keys = st.tuples(*[texts for _ in labels])
    samples = draw(st.lists(st.tuples(keys, values[kind]), max_size=4))
    declared: Declared[Any] = Declared(name, draw(texts), labels, When.ALWAYS, lambda _: [])
    return Family(kind, declared, samples)


def same(shown: Callable[[], Sequence[Family]]) -> None:
    for in_openmetrics, dots in FORMATS:
        ours = Encoder(in_openmetrics=in_openmetrics, dots=dots)
        theirs = written(registry(shown), in_openmetrics=in_openmetrics, dots=dots)
        for _ in range(2):  # also of what was kept
            assert ours.encode(shown()) == theirs


@given(st.lists(families(), max_size=4, unique_by=lambda one: one.declared.name))
def test_any_metric_is_written_as_prometheus_client_writes_it(shown: list[Family]) -> None:
    same(lambda: shown)


operations = st.sampled_from(Operation)
peers = st.tuples(operations, texts)
reasons = st.sampled_from(Reason)


def filled(table: Any, draw: st.DrawFn, value: st.SearchStrategy[Any]) -> Any:
    return type(table)({key: draw(value) for key in table})


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    """Those of any PBX, also such as none has had yet."""
    totals, gauges, told = Totals(), Gauges(), PeerTotals()
    numbers = st.integers(0, 2**40)
    for part in (totals, gauges):
        for name in part.__dataclass_fields__:
            table = getattr(part, name)
            if name == "exemplars":
                keys = st.tuples(operations, reasons)
                setattr(part, name, draw(st.dictionaries(keys, exemplars, max_size=3)))
            elif name.startswith(("oldest_", "last_")):
                setattr(part, name, draw(st.dictionaries(operations, st.floats(0, 2e9))))
            elif table and isinstance(next(iter(table.values())), Histogram):
                for histogram in table.values():
                    histogram.counts = [draw(numbers) for _ in histogram.counts]
                    histogram.sum = draw(floats)
                    histogram.exemplars = draw(st.dictionaries(st.integers(0, 6), exemplars))
            else:
                setattr(part, name, filled(table, draw, numbers))
    gauges.peers = draw(st.dictionaries(peers, numbers, max_size=3))
    told.pages = Counter(draw(st.dictionaries(peers, numbers, max_size=3)))
    told.page_seconds = Counter(draw(st.dictionaries(peers, st.floats(0, 1e9), max_size=3)))  # type: ignore[assignment]
    told.pages_timed = Counter({key: draw(numbers) for key in told.page_seconds})
    failed = st.tuples(operations, reasons, texts)
    told.failures = Counter(draw(st.dictionaries(failed, numbers, max_size=3)))
    told.exemplars = {key: draw(st.none() | exemplars) for key in told.failures}
    status = Status(
        up=draw(st.booleans()),
        connected=draw(st.booleans()),
        begun=draw(st.booleans()),
        sessions_listed=draw(st.booleans()),
        stats=draw(st.none() | st.builds(FaxStats, *[st.none() | numbers] * 6)),
        asterisk_version=draw(texts),
        ami_version=draw(texts),
        asterisk_start=draw(st.none() | st.integers(0, 2**33)),
        last_success=draw(st.none() | st.floats(0, 2e9)),
        last_duration=draw(st.none() | st.floats(0, 1e6)),
        polls=draw(numbers),
    )
    return Counts(status, totals, gauges, told, draw(numbers), draw(numbers))


@given(counts(), st.booleans())
def test_the_metrics_of_any_pbx_are_written_as_prometheus_client_writes_them(
    counts: Counts, peer_label: bool
) -> None:
    same(lambda: list(metrics.of_target(counts, peer_label=peer_label)))


def test_all_kinds_of_labels_and_states_are_in_what_is_compared() -> None:
    counts = Counts(Status(begun=True, up=True, sessions_listed=True))
    shown = list(metrics.of_target(counts, peer_label=True))
    assert {family.kind for family in shown} == set(Kind)
    written = encoder(in_openmetrics=False, dots=False).encode(shown).decode()
    for label in (Operation.SEND, State.ACTIVE, Transport.T38, *Reason):
        assert f'"{label.value}"' in written


def test_the_processes_come_last_and_are_prometheus_clients_own() -> None:
    shown = list(metrics.of_exporter(metrics.Exporter(targets=3), peer_label=False))
    for in_openmetrics, dots in FORMATS:
        ours = Encoder(in_openmetrics=in_openmetrics, dots=dots)
        alone, body = ours.encode(shown), ours.encode(shown, metrics.of_processes(None))
        assert body.startswith(alone.removesuffix(b"# EOF\n") + b"# HELP process_")
        assert body.count(b"# EOF\n") == body.endswith(b"# EOF\n") == in_openmetrics
        cpu = b"\nprocess__cpu__seconds__total " if dots else b"\nprocess_cpu_seconds_total "
        assert cpu in body


def gauge(*labels: str) -> tuple[Declared[Any], Labels]:
    return Declared("fax_x", "X.", labels, When.ALWAYS, lambda _: []), labels


@pytest.mark.parametrize("kind", Kind)
def test_only_so_many_beginnings_of_lines_are_kept(kind: Kind) -> None:
    declared, _ = gauge("peer")
    of: dict[Kind, Value] = {Kind.HISTOGRAM: Histogram((1, 2)), Kind.SUMMARY: Summary(1, 2.0)}
    samples = [((f"peer-{number}",), of.get(kind, 1)) for number in range(3 * MAX_KEPT)]
    family = Family(kind, declared, samples)
    ours = Encoder(in_openmetrics=True, dots=False)
    theirs = written(registry(lambda: [family]), in_openmetrics=True, dots=False)
    for _ in range(2):
        assert ours.encode([family]) == theirs
    kept = ours._written[declared]
    assert 0 < len(kept._lines) + len(kept._buckets) + len(kept._summaries) <= MAX_KEPT


def test_a_sample_of_another_kind_is_an_error_and_no_wrong_line() -> None:
    for kind, value in (
        (Kind.GAUGE, Counted(1, None)),
        (Kind.GAUGE, Histogram((1,))),
        (Kind.COUNTER, Summary(1, 2.0)),
        (Kind.HISTOGRAM, 1),
        (Kind.SUMMARY, 1),
    ):
        family = Family(kind, gauge()[0], [((), value)])
        with pytest.raises(TypeError, match="fax_x has a sample of another kind"):
            Encoder(in_openmetrics=False, dots=False).encode([family])


def test_threads_may_write_at_once() -> None:
    ours = Encoder(in_openmetrics=True, dots=False)
    declared, _ = gauge("peer")

    def write(number: int) -> bool:
        samples = [((f"peer-{number % 7}-{each}",), number) for each in range(MAX_KEPT // 2)]
        shown = [Family(Kind.GAUGE, declared, samples)]
        return ours.encode(shown) == written(
            registry(lambda: shown), in_openmetrics=True, dots=False
        )

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(write, range(40)))
    finally:
        sys.setswitchinterval(before)


def test_there_is_one_encoder_for_each_format() -> None:
    assert len({encoder(in_openmetrics=om, dots=dots) for om, dots in FORMATS}) == len(FORMATS)
    assert encoder(in_openmetrics=True, dots=True) is encoder(in_openmetrics=True, dots=True)
