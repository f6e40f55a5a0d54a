"""Coverage-guided fuzzing of how the exporter reads a PBX; see harness/conversation.py.

    make fuzz FUZZ_SECONDS=3600
    .venv/bin/python -m fuzz.ami build/fuzz/crash-...   # one input again

Arguments are libFuzzer's; inputs are as `script` of harness/script.py makes them.
"""

import sys
from hashlib import sha1
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["exporter", "panoramisk"],
    exclude=["exporter.demo", "exporter.settings", "exporter.log"],
):
    from harness.conversation import converse
    from harness.script import NEXT, seeds

FOUND = Path("build") / "fuzz"
"""The corpus, which grows from run to run, and beside it the inputs that did harm."""
LONGEST = 8192
"""Bytes of an input."""
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
    corpus = FOUND / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (corpus / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    words = FOUND / "words"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS)
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    given = sys.argv[1:]
    inputs = [] if any(not one.startswith("-") for one in given) else [str(corpus)]
    options = [f"-dict={words}", f"-artifact_prefix={FOUND}/", f"-max_len={LONGEST}", "-timeout=60"]
    atheris.Setup([sys.argv[0], *options, *given, *inputs], converse_and_forget)
    atheris.Fuzz()


def converse_and_forget(data: bytes) -> None:
    """One input; libFuzzer wants no result."""
    converse(data)


if __name__ == "__main__":
    main()
