# SPDX-License-Identifier: Apache-2.0
"""The machine as a whole: its maker's words from SMBIOS, and how it was booted."""

from __future__ import annotations

from agent.host.doors import Host
from agent.host.smbios import Tables
from agent.inventory.fact import first, of, said
from agent.model.fact import Fact
from agent.model.system import FirmwareMode, System

# What whole series of boards were shipped with: it tells no machine from another.
BOGUS_UUIDS = frozenset({"03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"})


def system(host: Host, tables: Fact[Tables]) -> System:
    """SMBIOS types 0, 1 and 3. The chassis' serial stands in where the system has none."""
    firmware = of(tables, lambda found: found.firmware)
    product = of(tables, lambda found: found.product)
    chassis = of(tables, lambda found: found.chassis)
    return System(
        vendor=of(product, lambda found: said(found.vendor)),
        product=of(product, lambda found: said(found.product)),
        serial=first(of(product, lambda found: said(found.serial)), of(chassis, lambda found: said(found.serial))),
        uuid=of(product, lambda found: None if found.uuid in BOGUS_UUIDS else found.uuid),
        firmware_vendor=of(firmware, lambda found: said(found.vendor)),
        firmware_version=of(firmware, lambda found: said(found.version)),
        firmware_date=of(firmware, lambda found: said(found.date)),
        firmware_mode=FirmwareMode.UEFI if host.files.exists("/sys/firmware/efi") else FirmwareMode.BIOS,
        asset_tag=of(chassis, lambda found: said(found.asset_tag)),
    )
