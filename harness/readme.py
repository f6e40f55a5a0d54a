"""What the README tells its reader to paste."""

from pathlib import Path

_README = Path(__file__).parent.parent / "README.md"


def block(beginning: str, *, after: str) -> str:
    """The first indented block behind a heading that begins so; ValueError if there is none."""
    lines = iter(_README.read_text().partition(f"\n{after}\n")[2].splitlines())
    for line in lines:
        if line.strip().startswith(beginning) and line.startswith("    "):
            taken = [line]
            for further in lines:
                if further.strip() and not further.startswith("    "):
                    break
                taken.append(further)
            return "\n".join(one[4:] for one in taken).rstrip() + "\n"
    raise ValueError(f"no block {beginning!r} behind {after!r}")
