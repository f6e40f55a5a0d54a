"""Coverage-guided fuzzing of how the exporter reads a PBX; see harness/conversation.py.

    make fuzz FUZZ_SECONDS=3600
    .venv/bin/python -m fuzz.ami build/fuzz/ami/crash-...   # one input again

Arguments are libFuzzer's; inputs are as `script` of harness/script.py makes them.
"""

import atheris

from fuzz.libfuzzer import fuzz

with atheris.instrument_imports(
    include=["exporter", "panoramisk"],
    exclude=["exporter.demo", "exporter.settings", "exporter.log"],
):
    from harness.conversation import converse
    from harness.script import NEXT, seeds

WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    NEXT,
    b"ActionID: =0\r\n",
    b"ActionID: =1\r\n",
    b"ActionID: =9\r\n",
    b"Asterisk Call Manager/",
    b"ChanVariable: FAXMODE=T38\r\n",
    b"ChanVariable: FAXSTATUS=FAILED\r\n",
    b"Event: FAXSession\r\n",
    b"Event: FAXSessionsComplete\r\n",
    b"Event: FAXSessionsEntry\r\n",
    b"Event: FAXStats\r\n",
    b"Event: ReceiveFAX\r\n",
    b"Event: SendFAX\r\n",
    b"Message: Invalid/unknown command\r\n",
    b"Message: Permission denied\r\n",
    b"Response: Error\r\n",
    b"Response: Follows\r\n",
    b"Response: Success\r\n",
)


def main() -> None:
    """Runs libFuzzer, which ends the process; its status is 0 if nothing was found."""
    fuzz("ami", converse, seeds(), WORDS)


if __name__ == "__main__":
    main()
