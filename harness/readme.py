"""The blocks of README and docs/ that readers are to paste."""

from pathlib import Path

_ROOT = Path(__file__).parent.parent


def block(beginning: str, *, after: str, document: str = "README.md") -> str:
    """The first indented block after a heading that begins so; ValueError if there is none."""
    lines = iter((_ROOT / document).read_text().partition(f"\n{after}\n")[2].splitlines())
    for line in lines:
        if line.strip().startswith(beginning) and line.startswith("    "):
            taken = [line]
            for further in lines:
                if further.strip() and not further.startswith("    "):
                    break
                taken.append(further)
            return "\n".join(one[4:] for one in taken).rstrip() + "\n"
    raise ValueError(f"no block {beginning!r} behind {after!r}")
