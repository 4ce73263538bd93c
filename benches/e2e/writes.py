#!/usr/bin/env python3
"""Writes over many shards: one server by itself, and Shardloom over one, two and four groups, measured with sysbench.

Five servers are started here, each with durable commits (the log is synced at each, the binary log too), and one proxy. What
is measured: transactions of four updates whose rows lie on one, two or four groups; oltp_write_only; and the TPC-C shape.
Prints tables in markdown. Everything ends with this program.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from compare import CLIENT, ROOT, Side, free_port, can_connect, machine, sql, wait_for

HERE = ROOT / "benches/e2e"
BENCH = ("bench", "bench")
FRONT = ("app", "app")
PATH = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
# Rolled back and run again: deadlock, lock wait timeout, rolled back on all groups.
RETRIED = "1213,1205,1402"


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server()) for _ in range(5)]
        groups, single = servers[:4], servers[4]
        for server in servers:
            sql(server.port, ("root", ""), "", "CREATE USER bench@'%' IDENTIFIED BY 'bench'; GRANT ALL ON *.* TO bench@'%'")
            for schema in ("one", "two", "four"):
                sql(server.port, BENCH, "", f"CREATE DATABASE {schema}")
        proxy = stack.enter_context(Proxy(options.binary, groups))
        direct = Side("one server", single.port, BENCH, None)
        through = Side("Shardloom", proxy.port, FRONT, proxy.process.pid)
        print(f"## Writes, {datetime.date.today()}, {machine()}, {options.seconds} s per cell, durable commits\n")
        if "commit" in options.tests:
            commits(direct, through, groups, options)
        if "write_only" in options.tests:
            write_only(direct, through, options)
        if "tpcc" in options.tests:
            tpcc(direct, through, options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/shardloom"))
    parser.add_argument("--seconds", type=int, default=8, help="length of one measurement")
    parser.add_argument("--threads", default="1,8")
    parser.add_argument("--tests", default="commit,write_only,tpcc")
    return parser.parse_args()


class Server:
    """A MariaDB server of its own with durable commits, in a throw-away folder."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="shardloom-bench-")
        self.port = free_port()
        data = pathlib.Path(self.folder.name) / "data"
        program, install = (shutil.which(name, path=PATH) for name in ("mariadbd", "mariadb-install-db"))
        if not program or not install:
            sys.exit("mariadbd and mariadb-install-db are needed")
        user = [f"--user={os.environ.get('USER', 'root')}"] if os.getuid() == 0 else []
        made = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *user]
        subprocess.run(made, check=True, capture_output=True)
        command = [program, "--no-defaults", f"--datadir={data}", f"--port={self.port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={self.folder.name}/socket", "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"]
        command += ["--log-bin=binlog", "--innodb-buffer-pool-size=256M", "--skip-name-resolve", *user]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: can_connect(self.port), "a server")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()


class Proxy:
    """The proxy with the rules of this folder."""

    def __init__(self, binary, groups):
        self.binary, self.groups = binary, groups

    def __enter__(self):
        self.port = free_port()
        environment = dict(os.environ, SHARDLOOM_LISTEN=f"127.0.0.1:{self.port}")
        environment["SHARDLOOM_ADMIN"] = f"127.0.0.1:{free_port()}"
        for number, server in enumerate(self.groups):
            environment[f"SHARDLOOM_G{number}_PORT"] = str(server.port)
        command = [self.binary, "--log", "warn", "serve", "--rules", str(HERE / "rules-writes")]
        self.process = subprocess.Popen(command, env=environment)
        wait_for(lambda: can_connect(self.port), "the proxy")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def commits(direct, through, groups, options):
    print("| four updates, rows on | side | threads | transactions/s | mean ms | p95 ms | statements at the servers |")
    print("|---|---|---:|---:|---:|---:|---:|")
    script = str(HERE / "commit.lua")
    sysbench(direct, script, "four", ["prepare"])
    sysbench(through, script, "four", ["prepare"])
    for threads in map(int, options.threads.split(",")):
        for name, side, spread in [
            ("one server", direct, 1),
            ("one group", through, 1),
            ("2 groups", through, 2),
            ("4 groups", through, 4),
        ]:
            before = statements(groups)
            rate, mean, p95, count = measure(side, script, "four", threads, options, [f"--spread={spread}"])
            asked = f"{(statements(groups) - before) / count:.1f}" if side is through else "6.0"
            print(f"| {name} | {side.name} | {threads} | {rate:,.0f} | {mean:.2f} | {p95:.2f} | {asked} |", flush=True)
    print()


def write_only(direct, through, options):
    print("| oltp_write_only, rows on | threads | transactions/s | mean ms | p95 ms |")
    print("|---|---:|---:|---:|---:|")
    table = ["--tables=1", "--table-size=20000", "--rand-type=uniform"]
    cells = [("one server", direct, "four")]
    cells += [(f"Shardloom, {count}", through, schema) for count, schema in
              (("one group", "one"), ("2 groups", "two"), ("4 groups", "four"))]
    for _, side, schema in cells:
        sysbench(side, "oltp_write_only", schema, [*table, "--auto_inc=off", "prepare"])
    for threads in map(int, options.threads.split(",")):
        for name, side, schema in cells:
            rate, mean, p95, _ = measure(side, "oltp_write_only", schema, threads, options, [*table, "--auto_inc=off"])
            print(f"| {name} | {threads} | {rate:,.0f} | {mean:.2f} | {p95:.2f} |", flush=True)
    print()


def tpcc(direct, through, options):
    print("| TPC-C shape, 8 warehouses on | threads | transactions/s | new orders/min | mean ms | p95 ms |")
    print("|---|---:|---:|---:|---:|---:|")
    script = str(HERE / "tpcc.lua")
    cells = [("one server", direct, "four"), ("Shardloom, one group", through, "one"), ("Shardloom, 4 groups", through, "four")]
    for _, side, schema in cells:
        sysbench(side, script, schema, ["prepare"])
    for threads in map(int, options.threads.split(",")):
        for name, side, schema in cells:
            before = orders(side, schema)
            started = time.monotonic()
            rate, mean, p95, _ = measure(side, script, schema, threads, options, [])
            minutes = (time.monotonic() - started) / 60
            made = (orders(side, schema) - before) / minutes
            print(f"| {name} | {threads} | {rate:,.0f} | {made:,.0f} | {mean:.2f} | {p95:.2f} |", flush=True)
        for name, side, schema in cells:
            check(side, schema, name)
    print()


def orders(side, schema):
    return int(sql(side.port, side.account, schema, "SELECT COUNT(*) FROM orders"))


def check(side, schema, name):
    """What must hold between the tables: each district's next order, and the lines of each order."""
    next_orders = int(sql(side.port, side.account, schema, "SELECT SUM(d_next_o_id - 1) FROM district"))
    made = orders(side, schema)
    promised = int(sql(side.port, side.account, schema, "SELECT SUM(o_ol_cnt) FROM orders"))
    lines = int(sql(side.port, side.account, schema, "SELECT COUNT(*) FROM order_line"))
    paid = sql(side.port, side.account, schema, "SELECT SUM(w_ytd) FROM warehouse").strip()
    in_districts = sql(side.port, side.account, schema, "SELECT SUM(d_ytd) FROM district").strip()
    if next_orders != made or promised != lines or paid != in_districts:
        sys.exit(f"{name}: the books do not balance: {next_orders} {made}, {promised} {lines}, {paid} {in_districts}")


def statements(servers):
    """How many statements the servers of the groups were sent so far."""
    status = "SHOW GLOBAL STATUS LIKE 'Questions'"
    return sum(int(sql(server.port, BENCH, "", status).split()[1]) for server in servers)


def measure(side, script, schema, threads, options, extra):
    text = sysbench(side, script, schema, [*extra, f"--threads={threads}", f"--time={options.seconds}", "run"])
    events = int(re.search(r"total number of events:\s+(\d+)", text).group(1))
    seconds = float(re.search(r"total time:\s+([\d.]+)s", text).group(1))
    mean = float(re.search(r"avg:\s+([\d.]+)", text).group(1))
    p95 = float(re.search(r"95th percentile:\s+([\d.]+)", text).group(1))
    return events / seconds, mean, p95, max(1, events)


def sysbench(side, script, schema, rest):
    user, password = side.account
    command = ["sysbench", script, "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={side.port}"]
    command += [f"--mysql-user={user}", f"--mysql-password={password}", f"--mysql-db={schema}", "--db-ps-mode=disable"]
    command += [f"--mysql-ignore-errors={RETRIED}", *rest]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"sysbench failed on {side.name}: {' '.join(command)}\n{result.stdout}\n{result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
