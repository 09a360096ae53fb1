#!/usr/bin/env python3
"""A bare loop: writes what an apply wrote into an empty state, with nothing around it.

    benches/bare.py STATE COPY      prints transactions, wall seconds and CPU seconds of the best of three

The rows are those of the apply's own state: every journal entry with its text, and with each entry that changed an
object the row of that object. They are written into a new file with the same tables, indexes and triggers, the same
settings (WAL, `synchronous = FULL`) and in as many transactions as the apply made, each of the same length. No lease is
checked, nothing is planned, called, serialised or told.
"""
import json
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path


def commits(state):
    """How many transactions the last run's journal took, as its summary says."""
    with closing(sqlite3.connect(state)) as read:
        summary = read.execute("SELECT summary FROM runs ORDER BY rowid DESC LIMIT 1").fetchone()[0]
    return json.loads(summary)["commits"]


def replay(state, copy, transactions):
    """(wall s, CPU s) of writing it all again into the new file `copy`."""
    schema, lineages, runs, journal, objects = rows(state)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
    write = sqlite3.connect(copy, isolation_level=None)
    write.execute("PRAGMA journal_mode = WAL")
    write.execute("PRAGMA synchronous = FULL")
    for statement in schema:
        write.execute(statement)
    write.executemany(insert("lineages", lineages), lineages)
    write.executemany(insert("runs", runs), runs)
    into_journal = insert("journal", journal)
    into_objects = insert("objects", list(objects.values()), "INSERT OR REPLACE")
    length = -(-len(journal) // transactions)
    began, used = time.monotonic(), os.times()
    for start in range(0, len(journal), length):
        entries = journal[start:start + length]
        write.execute("BEGIN IMMEDIATE")
        write.executemany(into_journal, entries)
        write.executemany(into_objects, [objects[e[5]] for e in entries if e[8] == "put" and e[5] in objects])
        write.execute("UPDATE lineages SET seq = ?", (entries[-1][1],))
        write.execute("COMMIT")
    wall, now = time.monotonic() - began, os.times()
    write.close()
    return wall, now.user + now.system - used.user - used.system


def rows(state):
    """Everything that was written, read into memory before the clock starts."""
    with closing(sqlite3.connect(state)) as read:
        kept = "sql IS NOT NULL AND tbl_name IN ('lineages', 'runs', 'journal', 'objects')"
        schema = [sql for (sql,) in read.execute(f"SELECT sql FROM sqlite_schema WHERE {kept} ORDER BY rowid")]
        table = lambda name, order="rowid": read.execute(f"SELECT * FROM {name} ORDER BY {order}").fetchall()
        last = read.execute("SELECT id FROM runs ORDER BY rowid DESC LIMIT 1").fetchone()[0]
        journal = [entry for entry in table("journal", "seq") if entry[2] == last]
        return schema, table("lineages"), table("runs"), journal, {row[1]: row for row in table("objects")}


def insert(table, rows, verb="INSERT"):
    return f"{verb} INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"


if __name__ == "__main__":
    state, copy = sys.argv[1:]
    transactions = commits(state)
    print(transactions, *min(replay(state, copy, transactions) for _ in range(3)))
