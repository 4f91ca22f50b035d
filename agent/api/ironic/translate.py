# SPDX-License-Identifier: Apache-2.0
"""Ironic's words into requests of ours. Pure: what is asked for goes in, a request or an error comes out.

Sources: ironic/drivers/modules/deploy_utils.py (`build_instance_info_for_deploy`), agent.py (`write_image`); IPA's
extensions/standby.py (`_validate_image_info`).
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import SecretStr, ValidationError

from agent.errors import InputError
from agent.model.config_drive import DriveImage
from agent.model.device_hints import OperatorHints
from agent.model.frozen import faults
from agent.model.image import Access, ImageFormat, ImageRef
from agent.model.ironic.wire import Node
from agent.model.request import DeployRequest, EraseRequest, ForgetBootRequest, SelectBootRequest
from agent.model.url import origin

FORMATS = {"raw": ImageFormat.RAW, "gpt": ImageFormat.RAW, "qcow2": ImageFormat.QCOW2}
DIGESTS = {64: "sha256", 128: "sha512"}
"""By the number of hexadecimal digits."""
HEX = re.compile(r"[0-9a-f]+")
PARTITION_IMAGE = (
    "it is a partition image, which needs a boot loader installed; that ran the tenant's code as root (CVE-2026-43003)"
)
MD5 = "only an MD5 or SHA-1 checksum is given, and anybody can make another image that has the same"


def deploy_request(request_id: str, node: Node, args: dict[str, Any]) -> DeployRequest:
    """Of step `write_image`. Raises `InputError`."""
    doing = "reading what write_image asks for"
    must_have_no_arrays(node)
    info = args.get("image_info")
    if not isinstance(info, dict):
        raise InputError(doing, "there is no image_info")
    drive = args.get("configdrive") or info.get("configdrive")
    try:
        return DeployRequest(
            request_id=request_id,
            node_id=node.uuid,
            image=image(info),
            root_device=root_hints(node),
            skip=skipped(node),
            overwrite=True,
            config_drive=DriveImage(data=SecretStr(drive)) if isinstance(drive, str) else None,
            reboot=False,
        )
    except ValidationError as error:
        raise InputError(doing, faults(error)) from None


def erase_request(request_id: str, node: Node, method: Literal["zero", "metadata"]) -> EraseRequest:
    """Of the steps that erase. Raises `InputError`: also for settings of Ironic's that ask for more than we do."""
    must_have_no_arrays(node)
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
        strict=True,
        leave_read_only=method == "metadata" or settings.get("agent_erase_skip_read_only") is True,
    )


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
    if info.get("image_type") == "partition":
        raise InputError(doing, PARTITION_IMAGE, hint="Use a whole-disk image.")
    urls = info.get("urls")
    if not isinstance(urls, list) or not urls:
        raise InputError(doing, "urls is empty")
    name = str(info.get("disk_format") or "raw").lower()
    if name not in FORMATS:
        raise InputError(doing, f"disk_format {name!r}; written are {', '.join(FORMATS)}")
    given = {"url": urls[0], "mirrors": tuple(urls[1:]), "format": FORMATS[name], "access": access(info)}
    return ImageRef.model_validate({**given, **digest(info)})


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
    if info.get("image_request_authorization"):
        raise InputError("reading image_info", "image_request_authorization is not supported: give a user and password")
    given = {"username": user or None, "password": password or None, "proxy": proxy(info)}
    try:
        return Access.model_validate(given)
    except ValidationError as error:
        raise InputError("reading how the image's server lets us in", faults(error)) from None


def proxy(info: dict[str, Any]) -> str | None:
    """On the way to the image, unless `no_proxy` has its host, or a domain that it is in."""
    scheme, host, _ = origin(str(info["urls"][0]))
    proxies = info.get("proxies")
    without = [one.strip().lstrip(".").lower() for one in str(info.get("no_proxy") or "").split(",") if one.strip()]
    if not isinstance(proxies, dict) or any(f".{host.lower()}".endswith(f".{one}") for one in without):
        return None
    return str(proxies[scheme]) if proxies.get(scheme) else None


def must_have_no_arrays(node: Node) -> None:
    """Raises `InputError` for a node whose disks Ironic has made software RAID of: to this agent they are single disks,
    one of which it would write to.
    """
    logical = (node.raid_config or {}).get("logical_disks")
    arrays = [one for one in logical if isinstance(one, dict)] if isinstance(logical, list) else []
    if any(one.get("controller") == "software" for one in arrays):
        raise InputError(
            "reading the node's raid_config",
            "it has software RAID, which this agent does not keep under Ironic",
            hint="Deploy this node with ironic-python-agent, or delete its software RAID.",
        )


def root_hints(node: Node) -> OperatorHints:
    """Those of the instance come before those of the machine. Raises `InputError`."""
    found = node.instance_info.get("root_device") or node.properties.get("root_device") or {}
    return OperatorHints.of(found)


def skipped(node: Node) -> tuple[OperatorHints, ...]:
    """Disks that are never written to. Raises `InputError`."""
    found = node.properties.get("skip_block_devices") or []
    if not isinstance(found, list):
        raise InputError("reading properties.skip_block_devices", "it is no list")
    if {} in found:
        raise InputError("reading properties.skip_block_devices", "an entry without hints names no disk")
    entries = tuple(OperatorHints.of(one) for one in found)
    if any("volume_name" in one.specs for one in entries):
        told = "volume_name names a RAID array, which this agent does not keep under Ironic"
        raise InputError("reading properties.skip_block_devices", told, hint="Use ironic-python-agent for this node.")
    return entries
