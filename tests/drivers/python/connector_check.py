"""mysql-connector-python: the C extension and the pure driver, text and prepared statements."""

import mysql.connector
from mysql.connector import errors
from steps import *


def connect(pure, **options):
    return mysql.connector.connect(
        host=HOST, port=PORT, user=USER, password=PASSWORD, database=SCHEMA, use_pure=pure, ssl_disabled=True,
        **options,
    )


def check(pure):
    label = "pure" if pure else "C extension"
    connection = connect(pure, autocommit=True)
    cursor = connection.cursor()
    equal(scalar(cursor, "SELECT DATABASE()"), SCHEMA, "schema")
    connection.ping()
    step(f"connect ({label})")

    for table, create in (("items", CREATE_ITEMS), ("tickets", CREATE_TICKETS)):
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(create)
    cursor.executemany(INSERT, [row(number) for number in range(ROWS)])
    equal(cursor.rowcount, ROWS, "rows of a batch")
    step(f"batch insert ({label})")

    prepared = connection.cursor(prepared=True)
    for number in (5, 6, 499):
        prepared.execute("SELECT * FROM items WHERE id = %s", (number,))
        got = prepared.fetchall()
        equal(plain(got[0]), row(number), "row by key, prepared")
    prepared.execute("SELECT id FROM items WHERE id > %s ORDER BY id LIMIT %s", (100, 5))
    equal([one[0] for one in prepared.fetchall()], [101, 102, 103, 104, 105], "a page, prepared")
    prepared.execute("UPDATE items SET note = %s WHERE id = %s", (None, 5))
    equal(prepared.rowcount, 1, "rows changed, prepared")
    prepared.executemany(INSERT, [row(number) for number in range(ROWS, ROWS + 10)])
    prepared.close()
    equal(scalar(cursor, "SELECT COUNT(*) FROM items"), ROWS + 10, "rows after prepared inserts")
    step(f"prepare ({label})")

    stream = connection.cursor(buffered=False)
    stream.execute("SELECT id FROM items ORDER BY id")
    equal([one[0] for one in stream], list(range(ROWS + 10)), "streamed rows")
    stream.close()
    step(f"stream ({label})")

    cursor.execute("SELECT id, name, price FROM items WHERE id = 1")
    cursor.fetchall()
    equal([(column[0], column[1]) for column in cursor.description], [("id", 3), ("name", 253), ("price", 246)],
          "names and types of columns")
    step(f"metadata ({label})")

    cursor.execute("INSERT INTO tickets (title) VALUES (%s)", ("one",))
    first = cursor.lastrowid
    cursor.execute("INSERT INTO tickets (title) VALUES (%s)", ("two",))
    equal(cursor.lastrowid > first, True, "generated keys rise")
    equal(scalar(cursor, f"SELECT title FROM tickets WHERE id = {first}"), "one", "row by generated key")
    step(f"generated keys ({label})")

    connection.start_transaction()
    cursor.execute("DELETE FROM items WHERE id = 7")
    equal(connection.in_transaction, True, "in a transaction")
    connection.rollback()
    equal(scalar(cursor, "SELECT COUNT(*) FROM items WHERE id = 7"), 1, "row after rollback")
    connection.start_transaction(isolation_level="READ COMMITTED")
    cursor.execute("DELETE FROM items WHERE id = 7")
    connection.commit()
    equal(scalar(cursor, "SELECT COUNT(*) FROM items WHERE id = 7"), 0, "row after commit")
    step(f"transactions ({label})")

    fails_with(1062, errors.IntegrityError, lambda: cursor.execute(INSERT, row(1)))
    fails_with(1146, errors.ProgrammingError, lambda: cursor.execute("SELECT * FROM no_such_table"))
    fails_with(1064, errors.ProgrammingError, lambda: cursor.execute("SELEKT 1"))
    equal(scalar(cursor, "SELECT 5"), 5, "the connection goes on after errors")
    step(f"errors ({label})")

    cursor.execute("SET @kept = 5")
    connection.cmd_reset_connection()
    equal(scalar(cursor, "SELECT @kept"), None, "a reset forgets variables")
    connection.cmd_change_user(USER, PASSWORD, SCHEMA)
    equal(scalar(cursor, "SELECT DATABASE()"), SCHEMA, "schema after change of user")
    connection.close()
    step(f"reset and change of user ({label})")


def scalar(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()[0][0]


def plain(values):
    return tuple(bytes(value) if isinstance(value, bytearray) else value for value in values)


check(pure=True)
if mysql.connector.HAVE_CEXT:
    check(pure=False)
