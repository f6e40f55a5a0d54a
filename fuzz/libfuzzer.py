"""How a run of libFuzzer is set up: its corpus, the words that it puts in, where it leaves what it
found."""

import sys
from collections.abc import Callable, Iterable
from hashlib import sha1
from pathlib import Path
from typing import Final

import atheris

LONGEST: Final = 8192
"""Bytes of an input."""


def fuzz(
    name: str, offer: Callable[[bytes], object], seeds: Iterable[bytes], words: Iterable[bytes]
) -> None:
    """Runs libFuzzer, which ends the process; its status is 0 if nothing was found.

    In build/fuzz/NAME are the corpus, which grows from run to run from these seeds, and beside it
    the inputs for which `offer` raised something. `words`: what to try in an input.
    """
    found = Path("build") / "fuzz" / name
    corpus = found / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (corpus / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    dictionary = found / "words"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    dictionary.write_text("".join(f'"{word}"\n' for word in quoted))
    given = sys.argv[1:]
    inputs = [] if any(not one.startswith("-") for one in given) else [str(corpus)]
    options = [
        f"-dict={dictionary}",
        f"-artifact_prefix={found}/",
        f"-max_len={LONGEST}",
        "-timeout=60",
    ]

    def offer_and_forget(data: bytes) -> None:
        offer(data)

    atheris.Setup([sys.argv[0], *options, *given, *inputs], offer_and_forget)
    atheris.Fuzz()
