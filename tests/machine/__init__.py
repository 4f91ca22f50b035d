# SPDX-License-Identifier: Apache-2.0
"""The main job on a virtual machine, with everything real: firmware, PXE, ramdisk, controller, image, service."""
