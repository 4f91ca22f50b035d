# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: programs, not tests. `tests/bench/run` measures the writers of an image against each other and against
the limits of this machine; `tests/bench/run fleet` what many machines cost the image's server.
"""
