#!/usr/bin/env python3
"""Direct, HAProxy (mode tcp) and Shardloom, one after the other on one machine, measured with sysbench.

What counts is the CPU time of the proxy process per query: it holds on a noisy machine, where queries per second do
not. Prints a table in markdown. Everything is started here, on free ports, and ends with this program.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "benches/e2e/rules"
CLIENT = shutil.which("mariadb") or shutil.which("mysql")
# The throw-away accounts of the playground's servers and of its proxy.
BACKEND = ("shardloom", "playground")
FRONT = ("app", "playground")
MERGE_ROWS = 1_000_000
MERGE_ROUNDS = 5
IDLE_CLIENTS = 400


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(options.binary))
        haproxy = stack.enter_context(HaProxy(cluster.servers[0]))
        sides = [
            Side("direct", cluster.servers[0], BACKEND, None),
            Side("HAProxy", haproxy.port, BACKEND, haproxy.pid),
            Side("Shardloom", cluster.port, FRONT, cluster.proxy_pid),
        ]
        prepare(cluster, options)
        print(f"## {datetime.date.today()}, {machine()}, {options.rounds} rounds of {options.seconds} s\n")
        compare(sides, options)
        if not options.no_merge:
            merge(sides[2], cluster)
        idle(sides[2])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/shardloom"))
    parser.add_argument("--seconds", type=int, default=3, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often the sides take turns; medians are printed")
    parser.add_argument("--threads", default="1,16,64")
    parser.add_argument("--tests", default="oltp_point_select,oltp_read_write")
    parser.add_argument("--modes", default="text,prepared")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--no-merge", action="store_true", help="leave out the merge of a million rows")
    return parser.parse_args()


class Cluster:
    """The playground with the rules of this folder."""

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        self.port, admin = free_port(), free_port()
        command = [self.binary, "--log", "warn", "playground", "--no-shop", "--rules", str(RULES)]
        command += ["--port", str(self.port), "--admin-port", str(admin)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.servers = []
        for line in self.process.stdout:
            self.servers += [int(port) for port in re.findall(r"g\d+ primary (\d+)", line)]
            if "Ctrl-C" in line:
                break
        if len(self.servers) != 2:
            sys.exit("the playground did not start:\n" + self.process.stderr.read())
        self.proxy_pid = child_running(self.process.pid, "serve")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


class HaProxy:
    """A plain TCP relay to one server."""

    def __init__(self, target):
        self.target = target

    def __enter__(self):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="shardloom-bench-")
        config = pathlib.Path(self.folder.name) / "haproxy.cfg"
        config.write_text(
            f"global\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
            f"  timeout server 1h\nlisten mysql\n  bind 127.0.0.1:{self.port}\n  server one 127.0.0.1:{self.target}\n"
        )
        program = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
        self.process = subprocess.Popen([program, "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_for(lambda: can_connect(self.port), "HAProxy")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Side:
    """One way to the data: where to connect, as whom, and whose CPU time is looked at."""

    def __init__(self, name, port, account, pid):
        self.name, self.port, self.account, self.pid = name, port, account, pid

    def cpu_us(self):
        if self.pid is None:
            return 0.0
        # The first field is the time on a processor, in nanoseconds (Documentation/scheduler/sched-stats.rst); the times of
        # /proc/PID/stat come in ticks of 10 ms, a quarter of what the relay of a million rows takes.
        threads = pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1000


def prepare(cluster, options):
    for port in cluster.servers:
        sql(port, BACKEND, "", "CREATE DATABASE sbtest; CREATE DATABASE sbone; CREATE DATABASE big")
    front = Side("Shardloom", cluster.port, FRONT, None)
    # Through the proxy for the schema on two servers; the other one lies whole on the first server.
    sysbench(front, "oltp_point_select", "sbtest", ["prepare"], options, 1)
    direct = Side("direct", cluster.servers[0], BACKEND, None)
    sysbench(direct, "oltp_read_write", "sbone", ["prepare"], options, 1)
    columns = "(id INT NOT NULL PRIMARY KEY, a INT NOT NULL, b VARCHAR(40) NOT NULL)"
    rows = "SELECT {0}, {0} * 7 % 1000003, CONCAT('row number ', {0}) FROM seq_1_to_{1}"
    if not options.no_merge and not is_mysql(cluster.servers[0]):
        quarter = MERGE_ROWS // 4
        for group, port in enumerate(cluster.servers):
            for table in range(2):
                shard = group * 2 + table
                fill = rows.format(f"seq * 4 + {shard}", quarter)
                sql(port, BACKEND, "big", f"CREATE TABLE spread_{table} {columns}; INSERT INTO spread_{table} {fill}")
        fill = rows.format("seq", MERGE_ROWS)
        sql(cluster.servers[0], BACKEND, "big", f"CREATE TABLE whole {columns}; INSERT INTO whole {fill}")


def compare(sides, options):
    """The sides take turns, so that what else the machine does falls on all of them; a ratio is of one round's figures."""
    print("| test | protocol | threads | side | queries/s | p95 ms | proxy CPU µs/query | of HAProxy |")
    print("|---|---|---:|---|---:|---:|---:|---:|")
    for test in options.tests.split(","):
        for mode in options.modes.split(","):
            for threads in map(int, options.threads.split(",")):
                rounds = [measure_all(sides, test, mode, threads, options) for _ in range(options.rounds)]
                for name in rounds[0]:
                    rate, p95, cost = (statistics.median(figures) for figures in zip(*(r[name] for r in rounds)))
                    ratios = [r[name][2] / r["HAProxy"][2] for r in rounds]
                    share = f"{statistics.median(ratios):.2f} ×" if name.startswith("Shardloom") else ""
                    cpu = f"{cost:.1f}" if name != "direct" else ""
                    print(f"| {test} | {mode} | {threads} | {name} | {rate:,.0f} | {p95:.2f} | {cpu} | {share} |", flush=True)


def measure_all(sides, test, mode, threads, options):
    """One round: the figures of each side, by its name."""
    return {name: measure(side, test, mode, schema, threads, options) for side, name, schema in cells(sides, test)}


def cells(sides, test):
    """The sides of one comparison. Point selects through Shardloom are measured twice: on one server, as through HAProxy,
    and by key on two, which have more processes share the machine."""
    for side in sides:
        yield side, side.name, "sbone"
        if side.name == "Shardloom" and test == "oltp_point_select":
            yield side, "Shardloom, two servers", "sbtest"


def measure(side, test, mode, schema, threads, options):
    before = side.cpu_us()
    extra = [f"--db-ps-mode={'disable' if mode == 'text' else 'auto'}", f"--time={options.seconds}", "run"]
    text = sysbench(side, test, schema, extra, options, threads)
    used = side.cpu_us() - before
    queries, rate = re.search(r"queries:\s+(\d+)\s+\(([\d.]+) per sec", text).groups()
    p95 = re.search(r"95th percentile:\s+([\d.]+)", text).group(1)
    return float(rate), float(p95), used / max(1, int(queries))


def sysbench(side, test, schema, rest, options, threads):
    user, password = side.account
    command = ["sysbench", test, "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={side.port}"]
    command += [f"--mysql-user={user}", f"--mysql-password={password}", f"--mysql-db={schema}", "--tables=1"]
    command += [f"--table-size={options.rows}", f"--threads={threads}", "--rand-type=uniform", *rest]
    # The keys are given, as they must be where they decide the shard.
    if "prepare" in rest:
        command.insert(2, "--auto_inc=off")
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"sysbench failed on {side.name}: {' '.join(command)}\n{result.stdout}\n{result.stderr}")
    return result.stdout


def merge(side, cluster):
    """The CPU time of the proxy for a million rows: relayed from one table, and merged in order from four."""
    if is_mysql(cluster.servers[0]):
        return
    print(f"\n| {MERGE_ROWS:,} rows in order | rows/s | proxy CPU ns/row | of the relay |")
    print("|---|---:|---:|---:|")
    tables = {"relayed from one table": "whole", "merged from four": "spread"}
    rounds = [{name: stream_cost(side, table) for name, table in tables.items()} for _ in range(MERGE_ROUNDS)]
    for name in tables:
        rate, cost = (statistics.median(figures) for figures in zip(*(r[name] for r in rounds)))
        ratio = statistics.median(r[name][1] / r["relayed from one table"][1] for r in rounds)
        print(f"| {name} | {rate:,.0f} | {cost:.0f} | {ratio:.2f} × |")


def stream_cost(side, table):
    """Rows a second, and the proxy's CPU time for each, in nanoseconds."""
    before, start = side.cpu_us(), time.monotonic()
    rows = stream(side, f"SELECT id, a, b FROM {table} ORDER BY id")
    seconds, used = time.monotonic() - start, side.cpu_us() - before
    if rows != MERGE_ROWS:
        sys.exit(f"{table}: {rows} rows instead of {MERGE_ROWS}")
    return rows / seconds, used * 1000 / rows


def idle(side):
    """The memory that an idle client takes, its session included: what the process grows by for many of them."""
    user, password = side.account
    command = [CLIENT, "--no-defaults", "--batch", "--unbuffered", "-h", "127.0.0.1", "-P", str(side.port)]
    command += ["-u", user, f"-p{password}", "sbone"]

    def connect():
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        client.stdin.write(b"SELECT 1;\n")
        client.stdin.flush()
        return client

    def answered(clients):
        for client in clients:
            client.stdout.readline()

    with contextlib.ExitStack() as stack:
        def add(count):
            clients = [connect() for _ in range(count)]
            for client in clients:
                stack.callback(client.wait)
                stack.callback(client.stdin.close)
            answered(clients)

        # The first ones pay for what all share.
        add(IDLE_CLIENTS // 4)
        before = resident_kib(side.pid)
        add(IDLE_CLIENTS)
        grown = resident_kib(side.pid) - before
    print(f"\n{IDLE_CLIENTS} idle clients: {grown / IDLE_CLIENTS:.1f} KiB of the proxy's memory each")


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


def stream(side, statement, schema="big"):
    user, password = side.account
    command = [CLIENT, "--no-defaults", "--quick", "--batch", "--skip-column-names", "-h", "127.0.0.1"]
    command += ["-P", str(side.port), "-u", user, f"-p{password}", schema, "-e", statement]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        return sum(block.count(b"\n") for block in iter(lambda: client.stdout.read(1 << 20), b""))


def sql(port, account, schema, statements):
    command = [CLIENT, "--no-defaults", "-h", "127.0.0.1", "-P", str(port), "-u", account[0], f"-p{account[1]}"]
    command += ["--batch", "--skip-column-names", "-e", statements] + ([schema] if schema else [])
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def is_mysql(port):
    return "MariaDB" not in sql(port, BACKEND, "", "SELECT VERSION()")


def child_running(parent, word):
    children = pathlib.Path(f"/proc/{parent}/task").glob("*/children")
    for pid in " ".join(file.read_text() for file in children).split():
        if word in pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            return int(pid)
    sys.exit("the proxy's process was not found")


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} CPUs, {memory:.0f} GiB, {os.uname().sysname} {os.uname().release.split('-')[0]}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_for(holds, what):
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not start")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
