"""`python -m tools.digests [NAME=TAG ...]`: the images of compose.yml by the digests that their
registries have now.

    python -m tools.digests                     each by its tag, as it stands there
    python -m tools.digests prometheus=v3.5.1   this one by another tag, the others as they stand

Docker's registry API, version 2 (https://distribution.github.io/distribution/spec/api/), with the
token that a public registry gives to anybody.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

COMPOSE: Final = Path(__file__).parent.parent / "compose.yml"
MACHINES: Final = frozenset({"linux/amd64", "linux/arm64"})
"""What each image has to be there for."""

_TIMEOUT_SECONDS: Final = 30
_LARGEST_BYTES: Final = 4 * 1024 * 1024
"""Of a manifest, by the specification."""
_INDEX: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_REFERENCE: Final = re.compile(
    r"\b(?P<host>[a-z0-9.-]+(?::\d+)?)/(?P<name>[a-z0-9._/-]+):(?P<tag>[\w.-]+)"
    r"@sha256:(?P<digest>[0-9a-f]{64})"
)
# The one registry whose API is not at the host that references name.
_API: Final = {"docker.io": "registry-1.docker.io"}


class DigestFailed(Exception):
    """A registry gave no digest; the text says of which image, and why."""


@dataclass(frozen=True)
class Image:
    """An image in a registry."""

    host: str
    name: str
    tag: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}:{self.tag}"

    @property
    def short(self) -> str:
        """The last part of its name, by which the command line knows it."""
        return self.name.rpartition("/")[2]


def images(text: str) -> dict[str, Image]:
    """The images that a text has by digest, by their short names."""
    found = (Image(one["host"], one["name"], one["tag"]) for one in _REFERENCE.finditer(text))
    return {image.short: image for image in found}


def renewed(text: str, tags: Mapping[str, str]) -> str:
    """The text with the digests of now, and with these tags for the short names that are given.

    Raises DigestFailed, and nothing is renewed then.
    """
    known = images(text)
    if unknown := tags.keys() - known.keys():
        raise DigestFailed(f"there is no {sorted(unknown)[0]}; there is {', '.join(sorted(known))}")

    def now(found: re.Match[str]) -> str:
        image = Image(found["host"], found["name"], found["tag"])
        image = replace(image, tag=tags.get(image.short, image.tag))
        return f"{image}@{digest(image)}"

    return _REFERENCE.sub(now, text)


def digest(image: Image) -> str:
    """`sha256:...` of the index that the tag names: one for all machines.

    It is computed from what the registry sends, not taken from what it says. Raises DigestFailed.
    """
    body = _manifest(image)
    try:
        index = json.loads(body)
        platforms = {
            f"{one['platform']['os']}/{one['platform']['architecture']}"
            for one in index["manifests"]
        }
        media_type = index.get("mediaType", _INDEX[0])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DigestFailed(f"{image}: what the registry sent is no index of images") from error
    if media_type not in _INDEX or not platforms >= MACHINES:
        has, wanted = ", ".join(sorted(platforms)), " and ".join(sorted(MACHINES))
        raise DigestFailed(f"{image}: there for {has}; it has to be for {wanted}: take another tag")
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def url_of(image: Image) -> str:
    """Where its manifest is."""
    api = _API.get(image.host, image.host)
    # As Docker has it: only a registry on this machine may be without TLS.
    scheme = "http" if api.startswith("127.") else "https"
    return f"{scheme}://{api}/v2/{image.name}/manifests/{image.tag}"


def _manifest(image: Image) -> bytes:
    url = url_of(image)
    headers = {"Accept": ", ".join(_INDEX)}
    try:
        try:
            return _get(url, headers)
        except HTTPError as error:
            if error.code != 401:
                raise
            with error:
                challenge = error.headers["WWW-Authenticate"] or ""
        return _get(url, headers | {"Authorization": f"Bearer {_token(challenge)}"})
    except HTTPError as error:
        with error:
            raise DigestFailed(f"{image}: {url} answers {error.code} {error.reason}") from error
    except (URLError, OSError, ValueError) as error:
        raise DigestFailed(f"{image}: {url} cannot be read: {error}") from error


def _token(challenge: str) -> str:
    """For anybody; ValueError if the registry wants a user."""
    given = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer ") or "realm" not in given:
        raise ValueError("the registry wants a user")
    query = urlencode({key: given[key] for key in ("service", "scope") if key in given})
    answer = json.loads(_get(f"{given['realm']}?{query}", {}))
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str):
        raise ValueError("the registry gives no token")
    return token


def _get(url: str, headers: Mapping[str, str]) -> bytes:
    if not url.startswith(("https://", "http://127.")):
        raise ValueError(f"not over TLS: {url}")
    with urlopen(Request(url, headers=dict(headers)), timeout=_TIMEOUT_SECONDS) as answer:
        body: bytes = answer.read(_LARGEST_BYTES + 1)
    if len(body) > _LARGEST_BYTES:
        raise ValueError(f"more than {_LARGEST_BYTES} bytes")
    return body


def main(arguments: list[str], file: Path = COMPOSE) -> int:
    """Write what has changed, and say so; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.digests")
    parser.add_argument("tags", nargs="*", metavar="NAME=TAG")
    tags = dict(one.partition("=")[::2] for one in parser.parse_args(arguments).tags)
    text = file.read_text(encoding="utf-8")
    try:
        new = renewed(text, tags)
    except DigestFailed as error:
        print(error, file=sys.stderr)
        return 1
    before, after = _REFERENCE.finditer(text), _REFERENCE.finditer(new)
    for old, now in zip(before, after, strict=True):
        print(f"{now[0]}{'' if old[0] == now[0] else f', was {old[0]}'}")
    file.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
