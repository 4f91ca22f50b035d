# SPDX-License-Identifier: Apache-2.0
"""The embedded controller: a program of its own in the same wheel. It knows the agent by its protocol alone (floor 0).

api/      faces: HTTP in, HTTP out. Parses, calls a flow, renders; decides nothing
flow/     what happens: one module per occasion, each a short transaction over the store
rules/    what is decided: pure functions and state tables, no clock, no I/O
records/  what is kept: frozen values
store/    where it is kept: the only user of SQL
serve.py  the process: threads, signals, HTTP server
"""
