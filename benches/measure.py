"""Runs a command as a whole process and says what it cost: wall and CPU seconds, largest resident set."""
import os
import subprocess
import time


def run(command, cwd=None, env=None, stdin=subprocess.DEVNULL):
    """(wall s, user+sys s of the process and its children, max RSS MB of the largest process, exit code)"""
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    if code not in (0, 2):
        raise SystemExit(f"{' '.join(map(str, command))}: exit {code}\n{error.decode(errors='replace')[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, code


def best(times, command, prepare=None, **kwargs):
    """The run with the least wall time of several."""
    rows = []
    for _ in range(times):
        if prepare:
            prepare()
        rows.append(run(command, **kwargs))
    return min(rows)


def table(title, rows):
    """Prints rows of (what, wall, cpu, rss, note)."""
    print(f"\n{title}\n| what | wall s | CPU s | max RSS MB | |\n|---|---|---|---|---|")
    for what, wall, cpu, rss, note in rows:
        print(f"| {what} | {wall:.3f} | {cpu:.3f} | {rss:.0f} | {note} |", flush=True)
