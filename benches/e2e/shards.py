#!/usr/bin/env python3
"""Queries over four shards on two servers, against one plain server that holds all rows.

Prints a table in markdown: wall time on both sides, the CPU time of the proxy, and its resident memory while it merges
millions of rows. The plain server is the first of the two, where the same tables lie whole once more. MariaDB only: the
rows come out of its sequences.
"""

import argparse
import contextlib
import datetime
import pathlib
import statistics
import sys
import threading
import time

from compare import BACKEND, FRONT, ROOT, Cluster, Side, is_mysql, machine, resident_kib, sql, stream

SALES = "(id INT NOT NULL PRIMARY KEY, buyer INT NOT NULL, day DATE NOT NULL, amount DECIMAL(10,2) NOT NULL, \
kind VARCHAR(10) NOT NULL, note VARCHAR(60) NOT NULL, KEY (buyer))"
BUYERS = "(id INT NOT NULL PRIMARY KEY, region INT NOT NULL, name VARCHAR(40) NOT NULL)"
SALE = "seq, seq * 7919 % {buyers} + 1, '2020-01-01' + INTERVAL seq % 1000 DAY, seq * 31 % 100000 / 100, \
ELT(seq % 5 + 1, 'book', 'ink', 'pen', 'lamp', 'desk'), CONCAT('sale number ', seq)"
BUYER = "seq, seq % 1000, CONCAT('buyer ', seq)"

# What is measured: a name and a query, that both sides answer.
QUERIES = [
    ("ORDER BY … LIMIT 10", "SELECT id, amount, note FROM sales ORDER BY amount DESC, id LIMIT 10"),
    ("GROUP BY, 5 groups", "SELECT kind, COUNT(*), SUM(amount), AVG(amount) FROM sales GROUP BY kind ORDER BY kind"),
    ("GROUP BY, 1,000 groups", "SELECT day, COUNT(*), SUM(amount) FROM sales GROUP BY day ORDER BY day"),
    (
        "GROUP BY … HAVING … ORDER BY SUM",
        "SELECT day, SUM(amount) / COUNT(*) AS mean FROM sales GROUP BY day HAVING COUNT(*) > 1 ORDER BY SUM(amount) DESC LIMIT 10",
    ),
    ("COUNT(DISTINCT) of two columns", "SELECT COUNT(DISTINCT kind, day) FROM sales"),
    (
        "join across keys, 10,000 × 100,000 rows, selective",
        "SELECT COUNT(*), SUM(s.amount) FROM buyers b JOIN sales s ON s.buyer = b.id WHERE b.region = 7 AND s.id <= 100000",
    ),
    (
        "the same, no condition",
        "SELECT COUNT(*), SUM(s.amount) FROM buyers b JOIN sales s ON s.buyer = b.id WHERE s.id <= 100000",
    ),
]


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(options.binary))
        if is_mysql(cluster.servers[0]):
            sys.exit("this bench needs MariaDB")
        prepare(cluster, options)
        plain = Side("one server", cluster.servers[0], BACKEND, None)
        proxy = Side("Shardloom", cluster.port, FRONT, cluster.proxy_pid)
        print(f"## {datetime.date.today()}, {machine()}, {options.rows:,} sales, median of {options.runs}\n")
        compare(plain, proxy, options)
        memory(proxy, options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/shardloom"))
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large table")
    parser.add_argument("--buyers", type=int, default=10_000, help="rows of the small table")
    parser.add_argument("--runs", type=int, default=5, help="runs of each query")
    parser.add_argument("--streams", type=int, default=3, help="how often all rows are merged while memory is looked at")
    return parser.parse_args()


def prepare(cluster, options):
    sale = SALE.format(buyers=options.buyers)
    for port in cluster.servers:
        # the playground's servers are small: what is measured here is to be in memory
        sql(port, BACKEND, "", "SET GLOBAL innodb_buffer_pool_size = 1024 * 1024 * 1024")
        sql(port, BACKEND, "", "CREATE DATABASE shards; CREATE DATABASE whole")
    for group, port in enumerate(cluster.servers):
        for table in range(2):
            of_shard = f"WHERE seq % 4 = {group * 2 + table}"
            for name, columns, values, rows in parts(sale, options):
                fill = f"INSERT INTO {name}_{table} SELECT {values} FROM seq_1_to_{rows} {of_shard}"
                sql(port, BACKEND, "shards", f"CREATE TABLE {name}_{table} {columns}; {fill}; ANALYZE TABLE {name}_{table}")
    for name, columns, values, rows in parts(sale, options):
        fill = f"INSERT INTO {name} SELECT {values} FROM seq_1_to_{rows}"
        sql(cluster.servers[0], BACKEND, "whole", f"CREATE TABLE {name} {columns}; {fill}; ANALYZE TABLE {name}")


def parts(sale, options):
    return [("sales", SALES, sale, options.rows), ("buyers", BUYERS, BUYER, options.buyers)]


def compare(plain, proxy, options):
    print("| query | way | one server, ms | Shardloom, ms | of one server | proxy CPU, ms |")
    print("|---|---|---:|---:|---:|---:|")
    for name, query in QUERIES:
        way = sql(proxy.port, FRONT, "shards", f"EXPLAIN ROUTE {query}").split(":")[0].split(" over")[0]
        wants, want_ms, _ = timed(plain, "whole", query, options.runs)
        gots, got_ms, cpu_ms = timed(proxy, "shards", query, options.runs)
        if wants != gots:
            sys.exit(f"{query}\nanswers differ:\n{wants}\n{gots}")
        print(f"| {name} | {way} | {want_ms:.1f} | {got_ms:.1f} | {got_ms / want_ms:.2f} × | {cpu_ms:.1f} |", flush=True)


def timed(side, schema, query, runs):
    """The answer, the median of the wall time and the mean of the CPU time, without the start of the client."""
    def wall(query):
        start = time.monotonic()
        sql(side.port, side.account, schema, query)
        return time.monotonic() - start

    client = statistics.median(wall("DO 1") for _ in range(max(runs, 5)))
    answer = sql(side.port, side.account, schema, query)
    before = side.cpu_us()
    walls = [wall(query) - client for _ in range(runs)]
    used = side.cpu_us() - before
    return answer, max(0.1, statistics.median(walls) * 1000), used / runs / 1000


def memory(proxy, options):
    """The most resident memory of the proxy while all rows pass through the merge, beside what it had before."""
    before, most, done = resident_kib(proxy.pid), [0], threading.Event()

    def watch():
        while not done.wait(0.01):
            most[0] = max(most[0], resident_kib(proxy.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    rows = 0
    start = time.monotonic()
    for _ in range(options.streams):
        rows += stream(proxy, "SELECT id, amount, note FROM sales ORDER BY note, id", "shards")
    seconds = time.monotonic() - start
    done.set()
    watcher.join()
    print(f"\n{rows:,} rows merged by a text key from four shards in {seconds:.1f} s: the proxy's resident memory was "
          f"{before / 1024:.0f} MiB before and {most[0] / 1024:.0f} MiB at the most")


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    main()
