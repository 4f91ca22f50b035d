# SPDX-License-Identifier: Apache-2.0
"""Backups of a controller: one tar file that holds all it takes to go on somewhere else.

archive.py   the file: written while the controller serves, read with every byte checked
restore.py   a data directory of it
"""
