# SPDX-License-Identifier: Apache-2.0
"""Chunked images (`agent.model.chunked`): written by many hands at once, compared with a disk, packed and unpacked.

`write` is the engine; `locate` finds and authenticates a manifest; `frames` fetches frames; `hands` are the threads.
"""
