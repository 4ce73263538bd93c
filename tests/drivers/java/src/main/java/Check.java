import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.TreeSet;

/** Does with a JDBC driver what applications do; the argument is "mysql" or "mariadb". */
public final class Check {
    private static final int ROWS = 500;
    private static final String INSERT =
            "INSERT INTO items (id, name, price, made, note, data) VALUES (?, ?, ?, ?, ?, ?)";

    private final String label;
    private final String url;
    private Connection db;

    private Check(String label, String url) {
        this.label = label;
        this.url = url;
    }

    public static void main(String[] arguments) throws Exception {
        String place = System.getenv("DB_HOST") + ":" + System.getenv("DB_PORT") + "/" + System.getenv("DB_SCHEMA");
        for (String options : variants(arguments[0])) {
            new Check(options, "jdbc:" + arguments[0] + "://" + place + "?" + options).run();
        }
    }

    /** The options that change what goes over the wire. */
    private static List<String> variants(String driver) {
        if (driver.equals("mysql")) {
            String common = "sslMode=DISABLED&allowPublicKeyRetrieval=true&connectionTimeZone=UTC";
            return List.of(
                    common,
                    common + "&useServerPrepStmts=true&cachePrepStmts=true&useCursorFetch=true&defaultFetchSize=50",
                    common + "&rewriteBatchedStatements=true&useLocalSessionState=true&cacheServerConfiguration=true",
                    common + "&databaseTerm=SCHEMA&useInformationSchema=true");
        }
        String common = "sslMode=disable&allowPublicKeyRetrieval=true&timezone=UTC";
        return List.of(
                common,
                common + "&useServerPrepStmts=true&defaultFetchSize=50",
                common + "&useBulkStmts=true&allowMultiQueries=true");
    }

    private interface Step {
        void run() throws SQLException;
    }

    private void run() throws SQLException {
        db = DriverManager.getConnection(url, System.getenv("DB_USER"), System.getenv("DB_PASSWORD"));
        step("connect", this::connect);
        step("create and batch insert", this::create);
        step("prepare and page", this::page);
        step("stream", this::stream);
        step("metadata of results", this::resultMetadata);
        step("metadata of the database", this::databaseMetadata);
        step("generated keys", this::keys);
        step("transactions", this::transactions);
        step("errors", this::errors);
        db.close();
    }

    private void step(String name, Step step) throws SQLException {
        step.run();
        System.out.println("ok " + name + " (" + label + ")");
    }

    private static void equal(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": got " + got + ", expected " + want);
        }
    }

    private void connect() throws SQLException {
        equal("valid", db.isValid(5), true);
        equal("autocommit", db.getAutoCommit(), true);
        equal("schema", scalar("SELECT DATABASE()"), System.getenv("DB_SCHEMA"));
        equal("isolation", db.getTransactionIsolation(), Connection.TRANSACTION_REPEATABLE_READ);
    }

    private String scalar(String sql) throws SQLException {
        try (Statement statement = db.createStatement(); ResultSet result = statement.executeQuery(sql)) {
            result.next();
            return result.getString(1);
        }
    }

    private void create() throws SQLException {
        try (Statement statement = db.createStatement()) {
            statement.executeUpdate("DROP TABLE IF EXISTS items");
            statement.executeUpdate("DROP TABLE IF EXISTS tickets");
            statement.executeUpdate("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL,"
                    + " price DECIMAL(10,2) NOT NULL, made DATETIME NOT NULL, note TEXT, data VARBINARY(100),"
                    + " KEY by_name (name)) DEFAULT CHARSET=utf8mb4");
            statement.executeUpdate("CREATE TABLE tickets (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
                    + " title VARCHAR(50) NOT NULL)");
        }
        try (PreparedStatement insert = db.prepareStatement(INSERT)) {
            for (int n = 0; n < ROWS; n++) {
                fill(insert, n);
                insert.addBatch();
            }
            equal("answers of a batch", insert.executeBatch().length, ROWS);
        }
        equal("rows", scalar("SELECT COUNT(*) FROM items"), String.valueOf(ROWS));
    }

    private static void fill(PreparedStatement insert, int n) throws SQLException {
        insert.setInt(1, n);
        insert.setString(2, name(n));
        insert.setBigDecimal(3, price(n));
        insert.setTimestamp(4, Timestamp.valueOf("2024-01-01 10:00:00"));
        insert.setString(5, n % 3 == 0 ? null : "it's \"note\" " + n + "\\");
        insert.setBytes(6, new byte[] {(byte) n, 0, 39, 92});
    }

    private static String name(int n) {
        return "näme-" + n + " \uD83D\uDE00";
    }

    private static BigDecimal price(int n) {
        return new BigDecimal(n).subtract(new BigDecimal("250.25"));
    }

    private void page() throws SQLException {
        try (PreparedStatement select = db.prepareStatement("SELECT * FROM items WHERE id = ?")) {
            for (int n : new int[] {3, 4, 499}) {
                select.setInt(1, n);
                try (ResultSet result = select.executeQuery()) {
                    equal("a row", result.next(), true);
                    equal("name", result.getString("name"), name(n));
                    equal("price", result.getBigDecimal("price"), price(n));
                    equal("note is NULL", result.getString("note") == null, n % 3 == 0);
                    equal("data", Arrays.toString(result.getBytes("data")),
                            Arrays.toString(new byte[] {(byte) n, 0, 39, 92}));
                    equal("one row", result.next(), false);
                }
            }
        }
        String sql = "SELECT id FROM items WHERE id > ? ORDER BY id LIMIT ? OFFSET ?";
        try (PreparedStatement select = db.prepareStatement(sql)) {
            select.setInt(1, 100);
            select.setInt(2, 3);
            select.setInt(3, 2);
            equal("a page", list(select.executeQuery()), List.of("103", "104", "105"));
        }
        try (PreparedStatement update = db.prepareStatement("UPDATE items SET note = ? WHERE id = ?")) {
            update.setNull(1, Types.VARCHAR);
            update.setInt(2, 4);
            equal("rows changed", update.executeUpdate(), 1);
        }
        try (Statement statement = db.createStatement()) {
            statement.setMaxRows(7);
            String everything = "SELECT id FROM items ORDER BY id DESC";
            equal("limited by the driver", list(statement.executeQuery(everything)).size(), 7);
        }
    }

    private static List<String> list(ResultSet result) throws SQLException {
        List<String> values = new ArrayList<>();
        while (result.next()) {
            values.add(result.getString(1));
        }
        result.close();
        return values;
    }

    private void stream() throws SQLException {
        // Connector/J reads row by row when asked with this number, and by cursors where its options say so.
        boolean byRow = url.startsWith("jdbc:mysql") && !url.contains("useCursorFetch");
        for (int size : new int[] {byRow ? Integer.MIN_VALUE : 10, 50}) {
            try (Statement statement =
                    db.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY)) {
                statement.setFetchSize(size);
                List<String> ids = list(statement.executeQuery("SELECT id FROM items ORDER BY id"));
                equal("streamed rows", ids.size(), ROWS);
                equal("last streamed row", ids.get(ROWS - 1), String.valueOf(ROWS - 1));
            }
            try (PreparedStatement statement = db.prepareStatement("SELECT name FROM items WHERE id >= ? ORDER BY id")) {
                statement.setFetchSize(size);
                statement.setInt(1, 400);
                try (ResultSet result = statement.executeQuery()) {
                    result.next();
                    equal("first row of a stream left early", result.getString(1), name(400));
                }
            }
        }
        equal("after a stream left early", scalar("SELECT 5"), "5");
    }

    private void resultMetadata() throws SQLException {
        String sql = "SELECT id, name AS n, price, made, note, data FROM items AS i WHERE id = 1";
        try (Statement statement = db.createStatement(); ResultSet result = statement.executeQuery(sql)) {
            ResultSetMetaData columns = result.getMetaData();
            List<String> got = new ArrayList<>();
            for (int n = 1; n <= columns.getColumnCount(); n++) {
                got.add(columns.getColumnLabel(n) + ":" + columns.getColumnType(n) + ":" + columns.getPrecision(n)
                        + ":" + columns.getScale(n) + ":" + columns.isNullable(n));
            }
            // The drivers do not agree on how long a TEXT is.
            equal("columns", got.toString().replaceAll("note:(-1|12):\\d+", "note"),
                    "[id:4:10:0:0, n:12:40:0:0, price:3:10:2:0, made:93:19:0:0, note:0:1, data:-3:100:0:1]");
            equal("table of a column", columns.getTableName(1).startsWith("i"), true);
            equal("name of an aliased column", columns.getColumnName(2).isEmpty(), false);
        }
    }

    private void databaseMetadata() throws SQLException {
        DatabaseMetaData about = db.getMetaData();
        boolean asSchema = label.contains("databaseTerm=SCHEMA");
        String catalog = asSchema ? null : System.getenv("DB_SCHEMA");
        String schema = asSchema ? System.getenv("DB_SCHEMA") : null;
        TreeSet<String> tables = new TreeSet<>();
        try (ResultSet result = about.getTables(catalog, schema, "%", new String[] {"TABLE"})) {
            while (result.next()) {
                tables.add(result.getString("TABLE_NAME"));
            }
        }
        equal("tables", tables.toString(), "[items, tickets]");
        List<String> columns = new ArrayList<>();
        try (ResultSet result = about.getColumns(catalog, schema, "items", "%")) {
            while (result.next()) {
                columns.add(result.getString("COLUMN_NAME") + ":" + result.getInt("COLUMN_SIZE") + ":"
                        + result.getInt("NULLABLE"));
            }
        }
        equal("columns", columns.toString().replaceAll("note:\\d+", "note"),
                "[id:10:0, name:40:0, price:10:0, made:19:0, note:1, data:100:1]");
        try (ResultSet result = about.getPrimaryKeys(catalog, schema, "items")) {
            equal("a primary key", result.next(), true);
            equal("primary key", result.getString("COLUMN_NAME"), "id");
            equal("one column in it", result.next(), false);
        }
        TreeSet<String> indexes = new TreeSet<>();
        try (ResultSet result = about.getIndexInfo(catalog, schema, "items", false, true)) {
            while (result.next()) {
                indexes.add(result.getString("INDEX_NAME") + ":" + result.getString("COLUMN_NAME"));
            }
        }
        equal("indexes", indexes.toString(), "[PRIMARY:id, by_name:name]");
    }

    private void keys() throws SQLException {
        List<Long> keys = new ArrayList<>();
        String sql = "INSERT INTO tickets (title) VALUES (?)";
        try (PreparedStatement insert = db.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            for (String title : List.of("a", "b", "c")) {
                insert.setString(1, title);
                equal("rows inserted", insert.executeUpdate(), 1);
                try (ResultSet result = insert.getGeneratedKeys()) {
                    equal("a generated key", result.next(), true);
                    keys.add(result.getLong(1));
                }
            }
        }
        equal("keys rise: " + keys, keys.get(0) > 0 && keys.get(0) < keys.get(1) && keys.get(1) < keys.get(2), true);
        equal("row by generated key", scalar("SELECT title FROM tickets WHERE id = " + keys.get(1)), "b");
    }

    private void transactions() throws SQLException {
        db.setAutoCommit(false);
        for (boolean commit : new boolean[] {false, true}) {
            try (Statement statement = db.createStatement()) {
                equal("rows deleted", statement.executeUpdate("DELETE FROM items WHERE id = 7"), 1);
                Savepoint savepoint = db.setSavepoint("here");
                statement.executeUpdate("UPDATE items SET note = 'undone' WHERE id = 7");
                db.rollback(savepoint);
            }
            if (commit) {
                db.commit();
            } else {
                db.rollback();
            }
            equal("rows afterwards", scalar("SELECT COUNT(*) FROM items WHERE id = 7"), commit ? "0" : "1");
            db.commit();
        }
        db.setAutoCommit(true);
        db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        equal("isolation", db.getTransactionIsolation(), Connection.TRANSACTION_READ_COMMITTED);
        db.setReadOnly(true);
        equal("a read", scalar("SELECT COUNT(*) FROM items WHERE id = 8"), "1");
        db.setReadOnly(false);
    }

    private void errors() throws SQLException {
        try (PreparedStatement insert = db.prepareStatement(INSERT)) {
            fill(insert, 1);
            failsWith(1062, "23000", insert::executeUpdate);
        }
        try (Statement statement = db.createStatement()) {
            failsWith(1146, "42S02", () -> statement.executeQuery("SELECT * FROM no_such_table"));
            failsWith(1064, "42000", () -> statement.execute("SELEKT 1"));
        }
        failsWith(1045, "28000", () -> DriverManager.getConnection(url, System.getenv("DB_USER"), "wrong"));
        equal("after errors", scalar("SELECT 'ä'").getBytes(StandardCharsets.UTF_8).length, 2);
    }

    private static void failsWith(int errno, String state, Step action) throws SQLException {
        try {
            action.run();
        } catch (SQLException error) {
            equal("error number of " + error, error.getErrorCode(), errno);
            equal("state of " + error, error.getSQLState(), state);
            return;
        }
        throw new AssertionError("no error where " + errno + " was expected");
    }
}
