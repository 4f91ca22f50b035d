# SPDX-License-Identifier: Apache-2.0
"""Machines: recorded ones, and synthetic ones, which say so in their names and in their `origin`.

Each directory is one machine as `agent.host.fake.Machine` loads it, with the inventory that is to be made of it
(`inventory.json`; `pytest --rewrite-golden` writes it). `python -m tests.machines.synthetic` writes the synthetic ones.
"""
