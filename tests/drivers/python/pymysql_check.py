"""PyMySQL: pure Python, text protocol."""

import pymysql
import pymysql.cursors
from steps import *


def connect(**options):
    return pymysql.connect(
        host=HOST, port=PORT, user=USER, password=PASSWORD, database=SCHEMA, charset="utf8mb4", **options
    )


def main():
    connection = connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute("SELECT 1, 'x', NULL")
    equal(cursor.fetchone(), (1, "x", None), "constants")
    # MariaDB puts a prefix before its version in the handshake.
    equal(connection.get_server_info().removeprefix("5.5.5-"), scalar(cursor, "SELECT VERSION()"), "version")
    connection.ping()
    step("connect")

    for table, create in (("items", CREATE_ITEMS), ("tickets", CREATE_TICKETS)):
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(create)
    step("create tables")

    equal(cursor.executemany(INSERT, [row(number) for number in range(ROWS)]), ROWS, "rows of a batch")
    cursor.execute("SELECT * FROM items ORDER BY id")
    equal(list(cursor.fetchall()), [row(number) for number in range(ROWS)], "rows read back")
    step("batch insert")

    cursor.execute("SELECT name, price FROM items WHERE id = %s", (42,))
    equal(cursor.fetchone(), row(42)[1:3], "row by key")
    cursor.execute("SELECT id FROM items WHERE id IN %s ORDER BY id", ((3, 4, 499, 1000),))
    equal([one[0] for one in cursor], [3, 4, 499], "rows by list")
    cursor.execute("SELECT id FROM items ORDER BY id DESC LIMIT %s OFFSET %s", (10, 20))
    equal([one[0] for one in cursor], list(range(479, 469, -1)), "a page")
    step("select and page")

    with connection.cursor(pymysql.cursors.SSCursor) as stream:
        stream.execute("SELECT id, note FROM items ORDER BY id")
        equal(sum(1 for _ in stream), ROWS, "streamed rows")
    with connection.cursor(pymysql.cursors.SSCursor) as stream:
        stream.execute("SELECT id FROM items ORDER BY id")
        equal(stream.fetchmany(3), [(0,), (1,), (2,)], "first rows of a stream left early")
    equal(scalar(cursor, "SELECT COUNT(*) FROM items"), ROWS, "a count after a stream left early")
    step("stream")

    cursor.execute("SELECT id, name, price, made, note, data FROM items WHERE id = 1")
    kinds = [(column[0], column[1]) for column in cursor.description]
    want = [("id", 3), ("name", 253), ("price", 246), ("made", 12), ("note", 252), ("data", 253)]
    equal(kinds, want, "names and types of columns")
    cursor.execute("SHOW TABLES")
    equal({"items", "tickets"} <= {one[0] for one in cursor}, True, "tables are listed")
    with connection.cursor(pymysql.cursors.DictCursor) as named:
        named.execute("SELECT COUNT(*) AS n, MAX(id) AS top FROM items")
        equal(named.fetchone(), {"n": ROWS, "top": ROWS - 1}, "a row by names")
    step("metadata")

    keys = []
    for number in range(4):
        cursor.execute("INSERT INTO tickets (title) VALUES (%s)", (f"title {number}",))
        keys.append(cursor.lastrowid)
        equal(scalar(cursor, "SELECT LAST_INSERT_ID()"), cursor_key(keys), "LAST_INSERT_ID()")
    equal(len(set(keys)), 4, "distinct generated keys")
    equal(keys, sorted(keys), "generated keys rise")
    cursor.execute("SELECT title FROM tickets WHERE id = %s", (keys[2],))
    equal(cursor.fetchone(), ("title 2",), "row by generated key")
    step("generated keys")

    connection.begin()
    equal(cursor.execute("UPDATE items SET name = 'changed' WHERE id = 7"), 1, "rows changed")
    connection.rollback()
    equal(scalar(cursor, "SELECT name FROM items WHERE id = 7"), row(7)[1], "name after rollback")
    manual = connect(autocommit=False)
    with manual.cursor() as inside:
        inside.execute("DELETE FROM items WHERE id = 8")
        equal(scalar(cursor, "SELECT COUNT(*) FROM items WHERE id = 8"), 1, "not yet visible to others")
        manual.commit()
    manual.close()
    equal(scalar(cursor, "SELECT COUNT(*) FROM items WHERE id = 8"), 0, "deleted after commit")
    step("transactions")

    fails_with(1062, pymysql.err.IntegrityError, lambda: cursor.execute(INSERT, row(1)))
    fails_with(1146, pymysql.err.ProgrammingError, lambda: cursor.execute("SELECT * FROM no_such_table"))
    fails_with(1064, pymysql.err.ProgrammingError, lambda: cursor.execute("SELEKT 1"))
    fails_with(1054, pymysql.err.OperationalError, lambda: cursor.execute("SELECT nosuch FROM items WHERE id = 1"))
    fails_with(1045, pymysql.err.OperationalError, wrong_password)
    equal(scalar(cursor, "SELECT 5"), 5, "the connection goes on after errors")
    step("errors")

    big = "x" * (1 << 20)
    cursor.execute("UPDATE items SET note = %s WHERE id = 1", (big[:60000],))
    cursor.execute("SELECT note, %s FROM items WHERE id = 1", (big,))
    equal(cursor.fetchone(), (big[:60000], big), "long values")
    connection.select_db(SCHEMA)
    connection.close()
    step("long values")


def scalar(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchone()[0]


def cursor_key(keys):
    return keys[-1]


def wrong_password():
    pymysql.connect(host=HOST, port=PORT, user=USER, password="wrong", database=SCHEMA)


main()
