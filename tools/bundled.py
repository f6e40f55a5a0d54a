"""What is in the packages (`make packages`) beside Python packages, and under which licences.

The versions are those of what was built, and of the wheels; here is what no metadata tells. A
package with a part that is not here is not made.
"""

from typing import Final

PYTHON: Final = "cpython"
SOURCES: Final = {
    PYTHON: "PSF-2.0",
    "openssl": "Apache-2.0",
    "sqlite": "blessing",
    "zlib": "Zlib",
    "llvm-libunwind": "Apache-2.0 WITH LLVM-exception",
    "zig-compiler-rt": "MIT",
}
"""By the name of a source that the Python is built from. The last two are what the compiler links
in of its own."""

IN_CPYTHON: Final = {
    "expat": "MIT",
    "hacl-star": "MIT AND Apache-2.0",
    "mimalloc": "MIT",
    "mpdecimal": "BSD-2-Clause",
    "Unicode Character Database": "Unicode-3.0",
    "Mersenne Twister": "BSD-3-Clause",
    "dtoa": "dtoa",
    "SipHash": "MIT",
    "cfuhash": "BSD-3-Clause",
    "uvloop": "MIT OR Apache-2.0",
    "Global Unbounded Sequences": "BSD-2-Clause",
    "profile, pstats": "Apache-2.0",
    "xmlrpc.client": "MIT-CMU",
    "http.cookies": "MIT-CMU",
    "trace": "HPND",
}
"""Of others, in CPython's own source. Its Doc/license.rst has the texts."""
LEFT_OUT: Final = {"macholib": "ctypes"}
"""Of what CPython's own SBOM has, with the folder of the library that the packages have not."""

# The Rust libraries that are compiled into a wheel. pydantic-core has an SBOM of its own; these are
# of bcrypt, which has none, and of Rust itself.
CRATES: Final = {
    "addr2line": "Apache-2.0 OR MIT",
    "base64": "MIT OR Apache-2.0",
    "bcrypt": "MIT",
    "bcrypt-pbkdf": "MIT OR Apache-2.0",
    "blowfish": "MIT OR Apache-2.0",
    "generic-array": "MIT",
    "gimli": "MIT OR Apache-2.0",
    "hashbrown": "MIT OR Apache-2.0",
    "memchr": "Unlicense OR MIT",
    "miniz_oxide": "MIT OR Zlib OR Apache-2.0",
    "object": "Apache-2.0 OR MIT",
    "once_cell": "MIT OR Apache-2.0",
    "pbkdf2": "MIT OR Apache-2.0",
    "pyo3": "MIT OR Apache-2.0",
    "pyo3-ffi": "MIT OR Apache-2.0",
    "rustc-demangle": "MIT OR Apache-2.0",
    "sha2": "MIT OR Apache-2.0",
}
"""By name, those that a shared object of a wheel names and no SBOM in the wheel does."""


NAMED: Final = {
    "llhttp": ("MIT", rb"llhttp_init()\0"),
    "rust-std": ("MIT OR Apache-2.0", rb"/rustc/([0-9a-f]{40})/"),
}
"""What else is compiled into wheels: the licence, and what a shared object has in it that has this;
the group is the version, or empty."""


def rows() -> list[tuple[str, str, str]]:
    """Name, licence and where it is, of everything here."""
    return [
        *((name, licence, "") for name, licence in SOURCES.items()),
        *((name, licence, f"in {PYTHON}") for name, licence in IN_CPYTHON.items()),
        *((name, licence, "Rust, in wheels") for name, licence in CRATES.items()),
        *((name, licence, "in wheels") for name, (licence, _) in NAMED.items()),
    ]
