# SPDX-License-Identifier: Apache-2.0
"""Other names for what identifies one machine: the same each time, and of the same shape.

In: identities, and texts that hold some. Out: names as long, digit for digit and letter for letter, in which the parts
that tell a maker (an OUI, an NAA) and the prefixes that make networks stay. Duplicates stay duplicates; what differs
stays different. Nobody without the key, which is of one recording and is not kept, can go back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from hashlib import shake_256
from ipaddress import ip_address, ip_network

from agent.inventory.fact import said
from agent.inventory.system import BOGUS_UUIDS

LEAST_LETTERS, LEAST_DIGITS = 4, 6
"""What is shorter identifies nobody, and would be found within other words."""
LEAST_HOST = 2
"""A host's name, which is replaced only where it stands alone; and of texts alone, since bytes may be anything."""
LONG_ENOUGH = 8
"""What is shorter is replaced only where it stands alone."""
MOST_TURNS = 1000
HALF = 16
OUI, NAA_OUI = range(6), range(7)
VERSION, VARIANT = 12, 16  # hexadecimal digits of a UUID (RFC 9562, section 4.1 and 4.2)
MAC = re.compile(r"(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}(?:(?:[0-9a-f]{2}:){14})?[0-9a-f]{2}(?![0-9a-f:])", re.IGNORECASE)
UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)
WWN = re.compile(r"(?<![0-9a-f])0x([56][0-9a-f]{15}(?:[0-9a-f]{16})?)(?![0-9a-f])", re.IGNORECASE)
PCI_ADDRESS = re.compile(r".*[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7].*")
"""What host controllers of USB give for their serial."""
NAA = re.compile(r"[56][0-9a-f]{15}(?:[0-9a-f]{16})?")
FAT_NUMBER = re.compile(r"[0-9a-f]{4}-[0-9a-f]{4}")
TARGET = re.compile(
    r"(?:iqn|nqn)\.\d{4}-\d\d\.(?!org\.nvmexpress)([^\s/\"',\\]+?)(?=-lun-\d|[\s/\"',\\]|\Z)", re.IGNORECASE
)
"""Behind the date (RFC 3720, 3.2.6.3.1; NVMe base specification 2.0, 4.5); of a link's name what is before the LUN."""
PORTAL = re.compile(r"(?<![0-9a-z])ip-([0-9a-f.:]+):\d+-iscsi-", re.IGNORECASE)
"""In what udev calls a path to a disk (src/udev/udev-builtin-path_id.c)."""
MACHINE_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", re.IGNORECASE)
UTF16 = re.compile(rb"(?:[\x20-\x7e]\0){4,}")
COMMON = frozenset({"by", "dev", "disk", "id", "path", "sys", "ata", "ip", "iscsi", "lun", "md", "nvme", "part", "pci",
                    "sas", "scsi", "usb", "uuid", "vg"})  # fmt: skip
"""Words of links' names, which a host may be called by, too."""
HEX = re.compile(r"[0-9a-f]{8,}")
# Blocks that mean something (RFC 6890), and how much of an address in them says so: none gets into one, or out of it.
SPECIAL = tuple(
    (ip_network(block), kept)
    for block, kept in (
        ("0.0.0.0/8", 32), ("10.0.0.0/8", 8), ("100.64.0.0/10", 10), ("127.0.0.0/8", 32), ("169.254.0.0/16", 16),
        ("172.16.0.0/12", 12), ("192.0.2.0/24", 24), ("192.168.0.0/16", 16), ("198.18.0.0/15", 15),
        ("198.51.100.0/24", 24), ("203.0.113.0/24", 24), ("224.0.0.0/3", 32),
        ("::/64", 128), ("2001:db8::/32", 32), ("fc00::/7", 8), ("fe80::/10", 64), ("ff00::/8", 128),
    )
)  # fmt: skip


class Pseudonyms:
    """The names of one recording."""

    def __init__(self, key: bytes, spared: Collection[str] = ()) -> None:
        """`spared`: what looks like an identity and is none, in lower case."""
        self._key = key
        self._spared = frozenset(spared) | BOGUS_UUIDS
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._words: set[str] = set()
        self._addresses: set[str] = set()
        self._patterns: dict[tuple[int, bool], re.Pattern[str]] = {}

    @property
    def count(self) -> int:
        """How many identities have another name."""
        return len(self._taken)

    def learn(self, identity: str, kept: Collection[int] = ()) -> None:
        """A serial, a host's name …: from now on it is replaced wherever it stands. `kept`: places that stay."""
        plain = identity.strip().lower()
        least = LEAST_DIGITS if plain.isdigit() else LEAST_LETTERS
        if len(plain) < least or said(plain) is None or plain in self._spared or PCI_ADDRESS.fullmatch(plain):
            return
        if UUID.fullmatch(plain):
            self.learn_shapes(plain)
            return
        if FAT_NUMBER.fullmatch(plain):  # as in its first sector
            name = self.of(plain.replace("-", ""))
            self._know(plain, f"{name[:4]}-{name[4:]}")
            return
        if NAA.fullmatch(plain):
            self.learn_hex(plain, NAA_OUI)
            return
        name = self.of(plain, kept)
        self._know(plain.replace(" ", "_"), name.replace(" ", "_"))  # udev, in its links
        if plain.isascii():
            self._know(plain.encode().hex(), name.encode().hex())  # the kernel, in the `wwid` of NVMe
            self._know(plain.upper().encode().hex(), name.upper().encode().hex())

    def learn_word(self, word: str) -> None:
        """A name that people gave: it may be a word that stands elsewhere, too."""
        before = set(self._names)
        self.learn(word)
        self._words |= self._names.keys() - before

    def learn_host(self, name: str) -> None:
        """What a host is called: it may be short, too."""
        plain = name.strip().lower()
        if not LEAST_HOST <= len(plain) < LEAST_LETTERS:
            self.learn_word(plain if plain not in COMMON else "")
        elif not plain.isdigit() and said(plain) is not None and plain not in self._spared | COMMON:
            self.of(plain)
            self._words.add(plain)

    def learn_address(self, text: str) -> None:
        """An address that stands in a link's name, as it is and with none but letters and digits (`ID_PATH_TAG`)."""
        try:
            name = self.address(text)
        except ValueError:
            return
        for plain, new in ((text.lower(), name), (tagged(text.lower()), tagged(name))):
            self._addresses.add(plain)
            self._know(plain, new)

    def learn_hex(self, identity: str, kept: Collection[int] = OUI, kept_behind: Collection[int] = ()) -> None:
        """A WWN, an EUI-64, a GUID of so many digits: in halves, since what extends a name begins with it. An NGUID has
        its OUI in the second.
        """
        plain = identity.strip().lower()
        halves = [plain[:HALF], plain[HALF:]] if len(plain) == 2 * HALF else [plain]
        names = [self.of(half, kept_behind if number else kept) if half.strip("0") else half
                 for number, half in enumerate(halves)]  # fmt: skip
        if said(plain) is not None:
            self._know(plain, "".join(names))
            self._know(halves[0], names[0])

    def learn_shapes(self, text: str) -> None:
        """What is known for an identity by its look: MACs, UUIDs, WWNs, targets and their addresses."""
        for found in PORTAL.finditer(text):
            self.learn_address(found[1])
        for found in TARGET.finditer(text):
            self.learn(found[1])
            plain = found[1].lower()
            if plain in self._names:
                self._know(tagged(plain), tagged(self._names[plain]))
        for found in MAC.finditer(text):
            plain = found[0].lower().replace(":", "")
            if plain.strip("0") and plain.strip("f"):
                name = self.of(plain, OUI)
                for sign in ("", ":", "-"):
                    self._know(paired(plain, sign), paired(name, sign))
        for found in UUID.finditer(text):
            plain = found[0].lower()
            if plain.strip("0-") and plain not in self._spared:
                self._know(plain, self.uuid(plain))
                self._know(plain.replace("-", ""), self.uuid(plain).replace("-", ""))
        for found in WWN.finditer(text):
            if found[1][1:].strip("0"):
                self.learn_hex(found[1], NAA_OUI)

    def uuid(self, plain: str) -> str:
        """Another one of the same version."""
        digits = plain.replace("-", "").lower()
        name = self.of(digits, (VERSION, VARIANT)) if digits.strip("0") and plain not in self._spared else digits
        return f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"

    def of(self, plain: str, kept: Collection[int] = ()) -> str:
        """The other name of an identity in lower case."""
        if plain in self._names:
            return self._names[plain]
        for turn in range(MOST_TURNS):
            name = self._made(plain, kept, turn)
            if name not in self._taken and name != plain and said(name) is not None:
                break
        self._taken.add(name)
        self._know(plain, name)
        return name

    def text(self, text: str) -> str:
        """The same text, with every identity that was learnt under its other name."""
        return self._replaced(text, 0)

    def file_name(self, text: str) -> str:
        """The same of what a file is called: by machine-ids, too (kernel-install(8)), which no other text has."""
        for found in MACHINE_ID.finditer(text):
            self.of(found[0].lower())
        self.learn_shapes(text)
        return self.text(text)

    def path(self, path: str) -> str:
        """The same path. Below /sys, and of a link's name, it is only what is too long to be a name of the kernel's: a
        host may be called node1.
        """
        return self.text(path) if path.startswith("/dev/") else self._replaced(path, LONG_ENOUGH, has_words=False)

    def raw(self, content: bytes) -> bytes:
        """The same of bytes that hold texts, or are one; in two bytes a letter, too, as firmware has them."""
        is_text = b"\0" not in content
        new = self._replaced(content.decode("latin-1"), 0 if is_text else LEAST_LETTERS)
        if not is_text and len(new) != len(content):
            return bytes(len(content))  # an address of another length: nothing behind it is where it was
        return UTF16.sub(lambda found: self.wide(found[0]), new.encode("latin-1", errors="replace"))

    def wide(self, content: bytes) -> bytes:
        """The same of UTF-16, which is as long as before."""
        new = self.text(content.decode("utf-16-le", errors="surrogatepass")).encode("utf-16-le", errors="surrogatepass")
        return new if len(new) == len(content) else bytes(len(content))

    def address(self, text: str) -> str:
        """An address or a network: two that share a prefix still do. Raises `ValueError` for what is neither."""
        head, slash, length = text.partition("/")
        address = ip_address(head)
        bits = address.max_prefixlen
        stop = int(length) if slash and int(address) == int(ip_network(text, strict=False).network_address) else bits
        digits = f"{int(address):0{bits}b}"
        blocks = [
            (f"{int(one[0]):0{bits}b}"[: one.prefixlen], kept)
            for one, kept in SPECIAL
            if len(one[0].packed) * 8 == bits
        ]
        flipped = [
            digit if at >= stop or is_kept(digits[:at], blocks) else str(int(digit) ^ self._bit(digits[:at]))
            for at, digit in enumerate(digits)
        ]
        return f"{type(address)(int(''.join(flipped), 2))}{slash}{length}"

    def _replaced(self, text: str, least: int, *, has_words: bool = True) -> str:
        if (least, has_words) not in self._patterns:
            known = (name for name in self._names if len(name) >= least and (has_words or name not in self._words))
            longest_first = sorted(known, key=len, reverse=True)
            found = "|".join(standing(name, is_address=name in self._addresses) for name in longest_first)
            self._patterns[least, has_words] = re.compile(found or r"(?!)", re.IGNORECASE)
        pattern = self._patterns[least, has_words]
        return pattern.sub(lambda found: cased(self._names.get(found[0].lower(), found[0]), found[0]), text)

    def _know(self, plain: str, name: str) -> None:
        if plain not in self._names:
            self._names[plain] = name
            self._patterns.clear()

    def _made(self, plain: str, kept: Collection[int], turn: int) -> str:
        noise = shake_256(self._key + f"{turn} {plain}".encode()).digest(len(plain))
        letters = "abcdef" if HEX.fullmatch(re.sub(r"[^0-9a-z]", "", plain)) else "abcdefghijklmnopqrstuvwxyz"
        return "".join(sign if at in kept else other(sign, noise[at], letters) for at, sign in enumerate(plain))

    def _bit(self, prefix: str) -> int:
        return shake_256(self._key + f"address {prefix}".encode()).digest(1)[0] & 1


def is_kept(prefix: str, blocks: list[tuple[str, int]]) -> bool:
    """Whether the next digit of an address stays: on the way into a block, and in it as far as it says so."""
    at = len(prefix)
    return any((block.startswith(prefix) and at < len(block)) or (prefix.startswith(block) and at < kept)
               for block, kept in blocks)  # fmt: skip


def other(sign: str, noise: int, letters: str) -> str:
    """A sign of the same kind; what is neither a digit nor a letter stays."""
    if sign.isdigit() and sign.isascii():
        return str(noise % 10)
    return letters[noise % len(letters)] if sign.isalpha() else sign


def cased(name: str, like: str) -> str:
    """With capitals where they were; an address, which may be longer or shorter, has none."""
    if len(name) != len(like):
        return name
    return "".join(new.upper() if old.isupper() else new for new, old in zip(name, like, strict=True))


def standing(plain: str, *, is_address: bool) -> str:
    """A pattern: a short name only where it stands alone, and an address only where it is a whole one."""
    if is_address:
        return rf"(?<![0-9a-f.:]){re.escape(plain)}(?!\.?[0-9a-f])"
    return re.escape(plain) if len(plain) >= LONG_ENOUGH else rf"(?<![0-9a-z]){re.escape(plain)}(?![0-9a-z])"


def tagged(plain: str) -> str:
    """As udev writes it where it allows letters and digits only."""
    return re.sub(r"[^0-9A-Za-z-]", "_", plain)


def paired(digits: str, sign: str) -> str:
    """Two by two."""
    return sign.join(pairs(digits))


def pairs(digits: str) -> Iterator[str]:
    """Of hexadecimal digits."""
    return (digits[at : at + 2] for at in range(0, len(digits), 2))
