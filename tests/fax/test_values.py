"""The query rule: about which sessions FAXSession may be asked; others would crash Asterisk."""

import pytest

from exporter.fax import ListedSession, Operation, State, Transport, may_ask


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("state", State)
def test_only_running_faxes_and_gateways_may_be_asked_about(
    operation: Operation, state: State
) -> None:
    may = state in ("Active", "Complete") and operation in ("send", "receive", "gateway")
    assert may_ask(ListedSession(0, "x", operation, state, Transport.NONE)) is may
