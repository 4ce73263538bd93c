"""What the checks of the Python drivers share: settings, expectations, and the printing of steps."""

import datetime
import decimal
import os

HOST = os.environ.get("DB_HOST", "127.0.0.1")
PORT = int(os.environ["DB_PORT"])
USER = os.environ["DB_USER"]
PASSWORD = os.environ["DB_PASSWORD"]
SCHEMA = os.environ["DB_SCHEMA"]

ROWS = 500
CREATE_ITEMS = (
    "CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, price DECIMAL(10,2) NOT NULL,"
    " made DATETIME NOT NULL, note TEXT, data VARBINARY(100)) DEFAULT CHARSET=utf8mb4"
)
CREATE_TICKETS = (
    "CREATE TABLE tickets (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(50) NOT NULL)"
    " DEFAULT CHARSET=utf8mb4"
)
INSERT = "INSERT INTO items (id, name, price, made, note, data) VALUES (%s, %s, %s, %s, %s, %s)"


def row(number):
    """The values of one row, chosen so that text, NULL, bytes and decimals all differ from row to row."""
    return (
        number,
        f"näme-{number} \N{GRINNING FACE}",
        decimal.Decimal(number) - decimal.Decimal("250.25"),
        datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=number),
        None if number % 3 == 0 else f"it's \"note\" {number}\\",
        bytes([number % 256, 0, 255, 39, 92]),
    )


def step(name):
    print(f"ok {name}", flush=True)


def equal(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, expected {want!r}")


def fails_with(errno, kind, action):
    """The action must raise the driver's error with this number; gives the error."""
    try:
        action()
    except kind as error:
        equal(error.args[0] if not hasattr(error, "errno") else error.errno, errno, "error number")
        return error
    raise AssertionError(f"no error where {errno} was expected")
