# SPDX-License-Identifier: Apache-2.0
"""Ironic's words into requests of ours. Pure: what is asked for goes in, a request or an error comes out.

Sources: ironic/drivers/modules/deploy_utils.py (`build_instance_info_for_deploy`), agent.py (`write_image`); IPA's
extensions/standby.py (`_validate_image_info`).
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any, Literal

from pydantic import SecretStr, ValidationError

from agent.api.ironic.raid import array_names, in_order_of_making, root_array
from agent.errors import InputError
from agent.model.config_drive import DriveImage
from agent.model.device_hints import OperatorHints
from agent.model.frozen import faults
from agent.model.image import Access, ImageFormat, ImageRef
from agent.model.ironic.wire import Node
from agent.model.layout import Layout
from agent.model.request import DeployRequest, EraseRequest, ForgetBootRequest, SelectBootRequest
from agent.model.url import origin

FORMATS = {"raw": ImageFormat.RAW, "gpt": ImageFormat.RAW, "qcow2": ImageFormat.QCOW2}
DIGESTS = {64: "sha256", 128: "sha512"}
"""By the number of hexadecimal digits."""
HEX = re.compile(r"[0-9a-f]+")
BY_UEFI = (
    "it is a partition image, which a BIOS starts only if a program of the image's installs a boot loader: that ran "
    "the tenant's code as root (CVE-2026-43003), and nothing of an image is run here"
)
TRUTH = {"1": True, "t": True, "true": True, "on": True, "y": True, "yes": True,
         "0": False, "f": False, "false": False, "off": False, "n": False, "no": False, "none": False}  # fmt: skip
"""As OpenStack's services read it (oslo.utils, strutils.bool_from_string)."""
MD5 = "only an MD5 or SHA-1 checksum is given, and anybody can make another image that has the same"


def deploy_request(request_id: str, node: Node, args: dict[str, Any]) -> DeployRequest:
    """Of step `write_image`. Raises `InputError`."""
    doing = "reading what write_image asks for"
    info = args.get("image_info")
    if not isinstance(info, dict):
        raise InputError(doing, "there is no image_info")
    drive = args.get("configdrive") or info.get("configdrive")
    if drive and not isinstance(drive, str):
        raise InputError(doing, "configdrive is no text: neither a URL nor base64")
    try:
        return DeployRequest(
            request_id=request_id,
            node_id=node.uuid,
            image=image(info),
            root_device=root_hints(node),
            skip=skipped(node),
            overwrite=True,
            layout=layout(info),
            config_drive=DriveImage(data=SecretStr(drive)) if drive else None,
            reboot=False,
        )
    except ValidationError as error:
        raise InputError(doing, faults(error)) from None


def erase_request(
    request_id: str, node: Node, method: Literal["zero", "metadata", "express"], *, guards: bool = True
) -> EraseRequest:
    """Of the steps that erase. Raises `InputError`: also for settings of Ironic's that ask for more than we do."""
    settings = node.driver_internal_info
    iterations = settings.get("agent_erase_devices_iterations", 1)
    if method == "zero" and iterations not in (0, 1):
        raise InputError(
            "reading agent_erase_devices_iterations",
            f"{iterations!r}: disks are overwritten once, with zeroes, and read back",
            hint="Set [deploy]shred_random_overwrite_iterations to 1, or clean this node with ironic-python-agent.",
        )
    return EraseRequest(
        request_id=request_id,
        node_id=node.uuid,
        method=method,
        skip=skipped(node),
        keep_arrays=array_names(node),
        strict=True,
        leave_read_only=method != "zero" or settings.get("agent_erase_skip_read_only") is True,
        at_once=at_once(settings.get("disk_erasure_concurrency")),
        shared_too=shared_too(node, guards=guards),
    )


def at_once(told: object) -> int:
    """How many disks side by side: Ironic's own default where it says nothing that could be meant."""
    return min(told, 1024) if isinstance(told, int) and told >= 1 else 4


def shared_too(node: Node, *, guards: bool) -> bool:
    """Whether a filesystem that several machines use may be lost: where `ipa-guard-special-filesystems` says that
    nothing is guarded, or the node that it may go.
    """
    told = (node.driver_internal_info, node.driver_info)
    return not guards or any(one.get("wipe_special_filesystems") is True for one in told)


def select_request(request_id: str, node: Node, params: dict[str, Any]) -> SelectBootRequest:
    """Of `image.install_bootloader`: a boot entry; nothing is installed. Raises `InputError`."""
    esp = params.get("efi_system_part_uuid")
    return SelectBootRequest(
        request_id=request_id,
        node_id=node.uuid,
        root_device=root_hints(node),
        skip=skipped(node),
        esp_uuid=str(esp) if esp else None,
    )


def forget_request(request_id: str, node: Node, args: dict[str, Any]) -> ForgetBootRequest:
    """Of `clean_uefi_nvram`. Raises `InputError`."""
    given = {"match_patterns": args["match_patterns"]} if args.get("match_patterns") is not None else {}
    try:
        return ForgetBootRequest.model_validate({"request_id": request_id, "node_id": node.uuid, **given})
    except ValidationError as error:
        raise InputError("reading match_patterns", faults(error)) from None


def image(info: dict[str, Any]) -> ImageRef:
    """What is to be written. Raises `InputError`, `ValidationError`."""
    doing = "reading image_info"
    urls = info.get("urls")
    if not isinstance(urls, list) or not urls:
        raise InputError(doing, "urls is empty")
    name = str(info.get("disk_format") or "raw").lower()
    if name not in FORMATS:
        raise InputError(doing, f"disk_format {name!r}; written are {', '.join(FORMATS)}")
    given = {"url": urls[0], "mirrors": tuple(urls[1:]), "format": FORMATS[name], "access": access(info)}
    return ImageRef.model_validate({**given, **digest(info)})


def layout(info: dict[str, Any]) -> Layout | None:
    """The partitions of a partition image; `None` for one of a whole disk, of which Ironic tells no type. Raises
    `InputError`, `ValidationError`.
    """
    if info.get("image_type") != "partition":
        return None
    doing = "reading image_info of a partition image"
    if str(info.get("deploy_boot_mode") or "uefi").lower() != "uefi":
        raise InputError(doing, BY_UEFI, hint="Use boot_mode:uefi, or a whole-disk image.")
    if info.get("boot_option") not in (None, "local"):
        raise InputError(doing, f"boot_option {info['boot_option']!r}: what is written here boots from its disk")
    ephemeral = info.get("ephemeral_mb") or 0
    preserve = TRUTH.get(str(info.get("preserve_ephemeral")).strip().lower())
    if preserve is None:  # whether data is lost is nothing to guess
        raise InputError(doing, f"preserve_ephemeral {info.get('preserve_ephemeral')!r} is neither true nor false")
    return Layout.model_validate(
        {
            "root_mib": info.get("root_mb") or 0,
            "swap_mib": info.get("swap_mb") or 0,
            "ephemeral_mib": ephemeral,
            "ephemeral_format": info.get("ephemeral_format") or "ext4",
            "preserve_ephemeral": preserve and str(ephemeral) != "0",
        }
    )


def digest(info: dict[str, Any]) -> dict[str, str]:
    """By algorithm; or the URL of a file that has it. Raises `InputError`."""
    doing = "reading the image's checksum"
    value, legacy = info.get("os_hash_value"), info.get("checksum")
    if value and (name := str(info.get("os_hash_algo")).lower()) in DIGESTS.values():
        return {name: str(value).strip().lower()}
    if value:
        raise InputError(doing, f"os_hash_algo {info.get('os_hash_algo')!r}; checked are sha256 and sha512", hint=MD5)
    text = str(legacy or "").strip()
    if text.startswith(("http://", "https://")):
        return {"checksums": text}
    if HEX.fullmatch(text.lower()) and len(text) in DIGESTS:
        return {DIGESTS[len(text)]: text.lower()}
    raise InputError(doing, MD5 if text else "there is none", hint="Set image_os_hash_algo and image_os_hash_value.")


def access(info: dict[str, Any]) -> Access:
    """How its server lets us in. Raises `InputError`."""
    user, password = info.get("image_server_user"), info.get("image_server_password")
    given = {"username": user or None, "password": password or None}
    if info.get("image_request_authorization"):
        given = authorized(info["image_request_authorization"])
    try:
        return Access.model_validate({**given, "proxy": proxy(info)})
    except ValidationError as error:
        raise InputError("reading how the image's server lets us in", faults(error)) from None


def authorized(header: object) -> dict[str, str | None]:
    """The whole Authorization header in base64, as Ironic sends it to an image's server (RFC 6750, RFC 7617). Raises
    `InputError`, without a word of it.
    """
    doing = "reading image_request_authorization"
    try:
        scheme, _, value = b64decode(str(header), validate=True).decode("ascii").strip().partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return {"bearer": value.strip()}
        if scheme.lower() == "basic":
            user, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
            return {"username": user, "password": password}
    except ValueError:
        raise InputError(doing, "it is no base64 of a header") from None
    raise InputError(doing, "it is neither Bearer nor Basic")


def proxy(info: dict[str, Any]) -> str | None:
    """On the way to the image, unless `no_proxy` has its host, or a domain that it is in."""
    scheme, host, _ = origin(str(info["urls"][0]))
    proxies = info.get("proxies")
    without = [one.strip().lstrip(".").lower() for one in str(info.get("no_proxy") or "").split(",") if one.strip()]
    if not isinstance(proxies, dict) or any(f".{host.lower()}".endswith(f".{one}") for one in without):
        return None
    return str(proxies[scheme]) if proxies.get(scheme) else None


def root_hints(node: Node) -> OperatorHints:
    """Those of the instance come before those of the machine, and both before the root volume of its arrays. Raises
    `InputError`.
    """
    found = node.instance_info.get("root_device") or node.properties.get("root_device") or {}
    return root_array(node, OperatorHints.of(found))


def skipped(node: Node) -> tuple[OperatorHints, ...]:
    """Disks and arrays that are never written to. Raises `InputError`."""
    found = node.properties.get("skip_block_devices") or []
    if not isinstance(found, list):
        raise InputError("reading properties.skip_block_devices", "it is no list")
    if {} in found:
        raise InputError("reading properties.skip_block_devices", "an entry without hints names no disk")
    return tuple(in_order_of_making(node, OperatorHints.of(one)) for one in found)
