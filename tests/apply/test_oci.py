# SPDX-License-Identifier: Apache-2.0
"""Images out of registries: which blob it is, how registries let us in, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from pydantic import SecretStr

from agent.errors import (
    AccessDenied,
    AgentError,
    DecodeError,
    DigestMismatch,
    ImageOverrun,
    ImageRefused,
    ImageTruncated,
    ImageUnavailable,
    InputError,
    LinkError,
)
from agent.host.fake import Machine, Page, Tree
from agent.model.image import OPEN, Access, ImageFormat, ImageRef
from agent.model.oci import MANIFEST_SHA256, TITLE, reference
from tests.apply.sources import FILE, SIZE, source
from tests.bodies import whole

REGISTRY = "https://registry.example"
NAME = "oci://registry.example/team/debian"
OTHER = "oci://other.example/copy"
CHALLENGE = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:team/debian:pull"'
TOKEN_URL = "https://auth.example/token?service=registry.example&scope=repository%3Ateam%2Fdebian%3Apull"
MINE = Access(username="me", password=SecretStr("pw"))


def sha256(content: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(content: bytes = FILE, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """A descriptor."""
    return {"mediaType": "x/y", "digest": sha256(content), "size": len(content), "annotations": annotations}


def manifest(*layers: dict[str, Any], **more: Any) -> bytes:
    """An artifact."""
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2}
    return json.dumps({"schemaVersion": 2, "config": empty, "layers": layers, "unknown": 1} | more).encode()


def registry(content: bytes, access: Access = OPEN, *, challenge: str = "", base: str = REGISTRY) -> Machine:
    """A registry that has it, under the tag 12 and by its digest; with its blob."""
    made = Machine.of(Tree())
    repository = f"{base}/v2/team/debian"
    for version in ("12", sha256(content)):
        made.web[f"{repository}/manifests/{version}"] = Page(content, access=access, challenge=challenge)
    made.web[f"{repository}/blobs/{sha256(FILE)}"] = Page(FILE, access=access, challenge=challenge, validator='"1"')
    return made


def ref(content: bytes, **more: Any) -> ImageRef:
    """The image, by the digest of its manifest."""
    return ImageRef.model_validate({"url": f"{NAME}@{sha256(content)}", "format": ImageFormat.RAW} | more)


def blob(made: Machine) -> Page:
    """The blob's page."""
    return made.web[f"{REGISTRY}/v2/team/debian/blobs/{sha256(FILE)}"]


@pytest.mark.parametrize(
    ("url", "registry_url", "repository", "version"),
    [
        ("oci://r.example/a", "https://r.example", "a", "latest"),
        ("oci://r.example:5000/a/b-c/d_e:v1.2", "https://r.example:5000", "a/b-c/d_e", "v1.2"),
        (f"oci://r.example/a:12@sha256:{'0' * 64}", "https://r.example", "a", f"sha256:{'0' * 64}"),
        (f"oci://me:p%40w@r.example/a@sha512:{'0' * 128}", "https://r.example", "a", f"sha512:{'0' * 128}"),
        ("oci://[::1]:5000/a?plain-http=1", "http://[::1]:5000", "a", "latest"),
    ],
)
def test_references(url: str, registry_url: str, repository: str, version: str) -> None:
    """A reference names registry, repository and version; a digest goes before a tag."""
    found = reference(url)
    assert (found.registry, found.repository, found.version) == (registry_url, repository, version)
    assert found.is_pinned is ("@sha" in url)


@pytest.mark.parametrize(
    "url",
    [
        "oci://r.example",
        "oci://r.example/",
        "oci:///a",
        "oci://r.example/A",
        "oci://r.example/a/../b",
        "oci://r.example/a@sha256:0",
        "oci://r.example/a@md5:00",
        "oci://r.example/a:",
        "oci://r.example/a?plain-http=0",
        "oci://r.example/a?x",
        "oci://[/a",
        "https://r.example/a",
    ],
)
def test_references_that_are_none(url: str) -> None:
    """Anything else is refused."""
    with pytest.raises(InputError, match="reading"):
        reference(url)


def test_by_digest() -> None:
    """A manifest that is named by its digest brings digest and length of the one layer, which is then the file."""
    content = manifest(layer())
    made = registry(content)
    with source(made, ref(content)) as opened:
        assert opened.image.sha256 == sha256(FILE)[7:] and opened.image.file_bytes == opened.size_bytes == SIZE
        assert opened.does_ranges and opened.name == f"{NAME}@{sha256(content)}"
        with opened.reader() as reader:
            assert whole(reader) == FILE
        with opened.reader(1000, 10) as reader:
            assert whole(reader) == FILE[1000:1010]
    accepted = made.web[f"{REGISTRY}/v2/team/debian/manifests/{sha256(content)}"].accepted
    assert "application/vnd.oci.image.manifest.v1+json" in (accepted[0] or "")


def test_by_tag() -> None:
    """A tag may move: the image's own digest must be the layer's."""
    content = manifest(layer())
    with source(registry(content), ref(content, url=f"{NAME}:12", sha256=sha256(FILE)[7:])) as opened:
        assert opened.image.file_bytes == SIZE
    another = ref(content, url=f"{NAME}:12", sha256="0" * 64)
    with pytest.raises(DigestMismatch, match="the image should have 000"), source(registry(content), another):
        pass


def test_plain_http() -> None:
    """A registry without TLS is asked without, when the reference says so."""
    content = manifest(layer())
    made = registry(content, base="http://registry.example")
    with source(made, ref(content, url=f"{NAME}@{sha256(content)}?plain-http=1")) as opened, opened.reader() as reader:
        assert whole(reader) == FILE


def test_manifest_that_is_another() -> None:
    """The manifest's bytes must have the digest that it was named by."""
    content = manifest(layer())
    made = registry(content)
    made.web[f"{REGISTRY}/v2/team/debian/manifests/{sha256(content)}"].body = manifest(layer(b"other"))
    with pytest.raises(DigestMismatch, match="manifest with sha256"), source(made, ref(content)):
        pass


def test_both_digests_must_agree() -> None:
    """An image that has a digest of its own, or a length, agrees with its manifest, or is refused."""
    content = manifest(layer())
    wrong: list[tuple[dict[str, Any], type[AgentError]]] = [
        ({"sha256": "0" * 64}, DigestMismatch),
        ({"file_bytes": SIZE + 1}, ImageTruncated),
        ({"file_bytes": SIZE - 1}, ImageOverrun),
    ]
    for more, error in wrong:
        with pytest.raises(error), source(registry(content), ref(content, **more)):
            pass
    long = hashlib.sha512(FILE).hexdigest()
    with source(registry(content), ref(content, sha512=long)) as opened:
        assert (opened.image.sha256, opened.image.sha512) == (None, long)


def test_chunked_image() -> None:
    """A chunked image is known by its own manifest's digest, which the layer's annotation has."""
    mine = "1" * 64
    content = manifest(layer(FILE, {MANIFEST_SHA256: mine}))
    with source(registry(content), ref(content, format=ImageFormat.CHUNKED)) as opened:
        assert opened.image.sha256 == mine and opened.image.file_bytes == SIZE
    with source(registry(content), ref(content, format=ImageFormat.CHUNKED, sha256=mine)) as opened:
        assert opened.image.sha256 == mine
    with pytest.raises(DigestMismatch), source(registry(content), ref(content, format="chunked", sha256="2" * 64)):
        pass
    bare = manifest(layer())
    with pytest.raises(ImageRefused, match="own manifest"), source(registry(bare), ref(bare, format="chunked")):
        pass
    with source(registry(bare), ref(bare, format="chunked", sha256=mine)) as opened:
        assert opened.image.sha256 == mine


def test_which_layer() -> None:
    """One layer is the image; of several, the only one that has a title. Else nobody guesses."""
    titled = layer(FILE, {TITLE: "disk.raw"})
    for good in (manifest(layer()), manifest(layer(b"readme"), titled), manifest(titled, layer(b"sbom"))):
        with source(registry(good), ref(good)) as opened:
            assert opened.image.sha256 == sha256(FILE)[7:]
    for bad in (manifest(), manifest(layer(), layer(b"x")), manifest(titled, layer(b"x", {TITLE: "x"}))):
        with pytest.raises(ImageRefused, match=r"which of its \d layers"), source(registry(bad), ref(bad)):
            pass


def test_containers_image() -> None:
    """A container's image has a file system in it, not a disk: refused with what to do."""
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b""), "size": 0}
    content = manifest(layer(), config=config)
    with pytest.raises(ImageRefused, match="container") as caught, source(registry(content), ref(content)):
        pass
    assert "oras push" in caught.value.hint


def test_index() -> None:
    """An index of one manifest is that manifest, whose bytes are checked; of more, the choice is left to the user."""
    content = manifest(layer())
    one = {"digest": sha256(content), "size": len(content)}

    def indexed(manifests: list[dict[str, Any]]) -> tuple[Machine, ImageRef]:
        index = json.dumps({"manifests": manifests}).encode()
        made = registry(index)
        made.web[f"{REGISTRY}/v2/team/debian/manifests/{sha256(content)}"] = Page(content)
        return made, ref(index)

    made, image = indexed([one])
    with source(made, image) as opened:
        assert opened.image.sha256 == sha256(FILE)[7:]
    made.web[f"{REGISTRY}/v2/team/debian/manifests/{sha256(content)}"].body = manifest(layer(b"x"))
    with pytest.raises(DigestMismatch), source(made, image):
        pass
    for manifests in ([], [one, one]):
        with pytest.raises(ImageRefused, match=f"{len(manifests)} manifests"), source(*indexed(manifests)):
            pass


@pytest.mark.parametrize("content", [b"", b"[]", b'{"layers": 1}', b'{"layers": [{"digest": "x"}]}', b"[" * 10**5])
def test_manifests_that_are_none(content: bytes) -> None:
    """Such a manifest is refused, also where its digest is right."""
    with pytest.raises(DecodeError), source(registry(content), ref(content)):
        pass


def test_manifest_without_end() -> None:
    """A manifest is small."""
    content = bytes(4 * 1024 * 1024 + 1)
    with pytest.raises(ImageRefused, match="longer"), source(registry(content), ref(content)):
        pass


def with_tokens(content: bytes, *, token: str = "t1", name: str = "token") -> Machine:
    """A registry that sends to a token server for everything."""
    made = registry(content, Access(bearer=SecretStr(token)), challenge=CHALLENGE)
    made.web[TOKEN_URL] = Page(json.dumps({name: token, "expires_in": 300}).encode())
    return made


@pytest.mark.parametrize("name", ["token", "access_token"])
@pytest.mark.parametrize("access", [OPEN, MINE])
def test_tokens(name: str, access: Access) -> None:
    """A token is got where the challenge says, with the credentials if there are any, and used for all that follows."""
    content = manifest(layer())
    made = with_tokens(content, name=name)
    made.web[TOKEN_URL].access = access
    with source(made, ref(content, access=access)) as opened, opened.reader() as reader:
        assert whole(reader) == FILE
    assert made.web[TOKEN_URL].opened_at == [0]


def test_credentials_in_the_reference() -> None:
    """They may be in the reference itself, and are in no name."""
    content = manifest(layer())
    made = with_tokens(content)
    made.web[TOKEN_URL].access = MINE
    url = f"{NAME}@{sha256(content)}".replace("//", "//me:pw@")
    with source(made, ref(content, url=url)) as opened, opened.reader() as reader:
        assert whole(reader) == FILE and "pw" not in opened.name


def test_token_that_runs_out() -> None:
    """A token that is refused in the middle is got anew, and reading goes on from the same byte."""
    content = manifest(layer())
    made = with_tokens(content)
    blob(made).breaks_at = [100_000]
    with source(made, ref(content)) as opened, opened.reader() as reader:
        first = memoryview(bytearray(50_000))
        assert reader.fill(first) == 50_000
        blob(made).access = Access(bearer=SecretStr("t2"))
        made.web[TOKEN_URL].body = b'{"token": "t2"}'
        assert bytes(first) + whole(reader) == FILE
    assert blob(made).opened_at == [0, 100_000]


@pytest.mark.parametrize(
    ("challenge", "access"),
    [
        ("", OPEN),
        ('Basic realm="x"', OPEN),
        ('Bearer realm="http://auth.example/token"', MINE),
        ('Bearer realm="https://127.0.0.1:8480/token"', MINE),
        ('Bearer realm="https://localhost/token"', OPEN),
        ('Bearer realm="https://[x/token"', OPEN),
        ("Bearer", OPEN),
        (CHALLENGE, Access(bearer=SecretStr("old"))),
    ],
)
def test_closed_doors(challenge: str, access: Access) -> None:
    """Without a way in that is safe, the refusal is the error: credentials do not leave TLS, tokens are not traded."""
    content = manifest(layer())
    made = registry(content, Access(bearer=SecretStr("t1")), challenge=challenge)
    made.web["http://auth.example/token?scope=repository%3Ateam%2Fdebian%3Apull"] = Page(b'{"token": "t1"}')
    with pytest.raises(AccessDenied, match="401"), source(made, ref(content, access=access)):
        pass


def test_token_servers_that_fail() -> None:
    """A token server that is away is waited for; one that refuses, or talks nonsense, is the error."""
    content = manifest(layer())
    made = with_tokens(content)
    made.web[TOKEN_URL].refusals = 3
    with source(made, ref(content)) as opened:
        assert opened.size_bytes == SIZE
    for page, error in (
        (Page(b"", status=403), AccessDenied),
        (Page(b"[]"), DecodeError),
        (Page(b"{}"), AccessDenied),
        (Page(b'{"token": "wrong"}'), AccessDenied),
        (Page(b"", refusals=10**6), LinkError),
    ):
        made.web[TOKEN_URL] = page
        with pytest.raises(error), source(made, ref(content)):
            pass


def test_mirrors() -> None:
    """Other registries that have the artifact, and servers that have the blob as a file, stand in for the first."""
    content = manifest(layer())
    copies = ref(content, mirrors=(f"{OTHER}:x", "https://files.example/disk.raw"))
    for alive in (1, 2):
        made = registry(content)
        made.web[f"https://other.example/v2/copy/manifests/{sha256(content)}"] = Page(content)
        made.web[f"https://other.example/v2/copy/blobs/{sha256(FILE)}"] = Page(FILE)
        made.web["https://files.example/disk.raw"] = Page(FILE)
        for url in list(made.web)[: 3 if alive == 1 else 0]:
            del made.web[url]
        if alive == 2:
            del made.web[f"https://other.example/v2/copy/blobs/{sha256(FILE)}"]
            blob(made).status = 404
        with source(made, copies) as opened, opened.reader() as reader:
            assert whole(reader) == FILE


def test_nothing_there() -> None:
    """An artifact that is not there is an error that names it, without its credentials."""
    content = manifest(layer())
    another = ref(content, url=f"{NAME}:13", sha256="0" * 64)
    with pytest.raises(ImageUnavailable, match=r"manifests/13: .*404"), source(registry(content), another):
        pass
