# SPDX-License-Identifier: Apache-2.0
"""Networks of real servers: namespaces, real traffic, real agents, and their sudden deaths."""
