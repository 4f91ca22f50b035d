# SPDX-License-Identifier: Apache-2.0
"""Where the records are kept. The only part of the project that speaks SQL; others see `Store`, `Transaction`, records.

SQLite in a file by default, PostgreSQL by URL. Transactions are short and never wait for a machine or a network.
"""
