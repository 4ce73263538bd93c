// Command drivers does with go-sql-driver/mysql what applications do, and fails at the first surprise.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"
)

const rows = 500

func main() {
	for _, interpolate := range []bool{false, true} {
		if err := check(interpolate); err != nil {
			fmt.Fprintln(os.Stderr, "FAILED:", err)
			os.Exit(1)
		}
	}
}

func dsn(password string, interpolate bool) string {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net = os.Getenv("DB_USER"), password, "tcp"
	config.Addr = os.Getenv("DB_HOST") + ":" + os.Getenv("DB_PORT")
	config.DBName, config.ParseTime, config.InterpolateParams = os.Getenv("DB_SCHEMA"), true, interpolate
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	return config.FormatDSN()
}

func check(interpolate bool) error {
	mode := "prepared"
	if interpolate {
		mode = "text"
	}
	db, err := sql.Open("mysql", dsn(os.Getenv("DB_PASSWORD"), interpolate))
	if err != nil {
		return err
	}
	defer db.Close()
	steps := []struct {
		name string
		run  func(*sql.DB) error
	}{
		{"connect", connect},
		{"create and batch insert", create},
		{"prepare and page", page},
		{"stream", stream},
		{"metadata", metadata},
		{"generated keys", keys},
		{"transactions", transactions},
		{"errors", failures},
		{"many connections", many},
	}
	for _, step := range steps {
		if err := step.run(db); err != nil {
			return fmt.Errorf("%s (%s): %w", step.name, mode, err)
		}
		fmt.Printf("ok %s (%s)\n", step.name, mode)
	}
	return nil
}

func equal(what string, got, want interface{}) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s: got %v, expected %v", what, got, want)
	}
	return nil
}

func connect(db *sql.DB) error {
	if err := db.Ping(); err != nil {
		return err
	}
	var schema, zone string
	if err := db.QueryRow("SELECT DATABASE(), @@time_zone").Scan(&schema, &zone); err != nil {
		return err
	}
	return equal("schema and time zone", schema+zone, os.Getenv("DB_SCHEMA")+"+00:00")
}

func create(db *sql.DB) error {
	for _, statement := range []string{
		"DROP TABLE IF EXISTS items",
		"DROP TABLE IF EXISTS tickets",
		"CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, price DECIMAL(10,2) NOT NULL," +
			" made DATETIME NOT NULL, note TEXT, data VARBINARY(100)) DEFAULT CHARSET=utf8mb4",
		"CREATE TABLE tickets (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(50) NOT NULL)",
	} {
		if _, err := db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	marks := strings.TrimSuffix(strings.Repeat("(?, ?, ?, '2024-01-01 10:00:00', ?, ?), ", rows), ", ")
	var values []interface{}
	for n := 0; n < rows; n++ {
		var note interface{}
		if n%3 != 0 {
			note = fmt.Sprintf("it's \"note\" %d\\", n)
		}
		values = append(values, n, fmt.Sprintf("näme-%d 😀", n), fmt.Sprintf("%d.25", n-250), note, []byte{byte(n), 0, 39})
	}
	result, err := db.Exec("INSERT INTO items (id, name, price, made, note, data) VALUES "+marks, values...)
	if err != nil {
		return err
	}
	affected, err := result.RowsAffected()
	if err != nil {
		return err
	}
	return equal("rows of a batch", affected, rows)
}

func page(db *sql.DB) error {
	statement, err := db.Prepare("SELECT name, price, note, data FROM items WHERE id = ?")
	if err != nil {
		return err
	}
	defer statement.Close()
	for _, n := range []int{3, 4, 499} {
		var name, price string
		var note sql.NullString
		var data []byte
		if err := statement.QueryRow(n).Scan(&name, &price, &note, &data); err != nil {
			return err
		}
		want := fmt.Sprintf("näme-%d 😀 %d.25 %v %v", n, n-250, n%3 != 0, []byte{byte(n), 0, 39})
		if err := equal("row by key", fmt.Sprintf("%s %s %v %v", name, price, note.Valid, data), want); err != nil {
			return err
		}
	}
	ids, err := numbers(db, "SELECT id FROM items WHERE id > ? ORDER BY id DESC LIMIT ? OFFSET ?", 100, 4, 2)
	if err != nil {
		return err
	}
	return equal("a page", ids, []int64{497, 496, 495, 494})
}

func numbers(db *sql.DB, query string, args ...interface{}) ([]int64, error) {
	result, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var list []int64
	for result.Next() {
		var n int64
		if err := result.Scan(&n); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, result.Err()
}

func stream(db *sql.DB) error {
	ids, err := numbers(db, "SELECT id FROM items ORDER BY id")
	if err != nil {
		return err
	}
	if err := equal("streamed rows", len(ids), rows); err != nil {
		return err
	}
	// Left early: the driver drops the rest and the connection must still work.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result, err := db.QueryContext(ctx, "SELECT id FROM items ORDER BY id")
	if err != nil {
		return err
	}
	result.Next()
	result.Close()
	return db.Ping()
}

func metadata(db *sql.DB) error {
	result, err := db.Query("SELECT id, name, price, made, note, data FROM items WHERE id = 1")
	if err != nil {
		return err
	}
	defer result.Close()
	types, err := result.ColumnTypes()
	if err != nil {
		return err
	}
	var got []string
	for _, column := range types {
		nullable, _ := column.Nullable()
		got = append(got, fmt.Sprintf("%s:%s:%v", column.Name(), column.DatabaseTypeName(), nullable))
	}
	want := "[id:INT:false name:VARCHAR:false price:DECIMAL:false made:DATETIME:false note:TEXT:true data:VARBINARY:true]"
	return equal("columns", got, want)
}

func keys(db *sql.DB) error {
	var last int64
	for _, title := range []string{"a", "b", "c"} {
		result, err := db.Exec("INSERT INTO tickets (title) VALUES (?)", title)
		if err != nil {
			return err
		}
		key, err := result.LastInsertId()
		if err != nil {
			return err
		}
		if key <= last {
			return fmt.Errorf("key %d after %d", key, last)
		}
		var got string
		if err := db.QueryRow("SELECT title FROM tickets WHERE id = ?", key).Scan(&got); err != nil {
			return err
		}
		if err := equal("row by generated key", got, title); err != nil {
			return err
		}
		last = key
	}
	return nil
}

func transactions(db *sql.DB) error {
	for _, commit := range []bool{false, true} {
		tx, err := db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM items WHERE id = ?", 7); err != nil {
			return err
		}
		want := 1
		if commit {
			want = 0
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			return err
		}
		var count int
		if err := db.QueryRow("SELECT COUNT(*) FROM items WHERE id = 7").Scan(&count); err != nil {
			return err
		}
		if err := equal("rows afterwards", count, want); err != nil {
			return err
		}
	}
	return nil
}

func failures(db *sql.DB) error {
	for statement, want := range map[string]uint16{
		"INSERT INTO items (id, name, price, made) VALUES (1, 'x', 1, '2024-01-01')": 1062,
		"SELECT * FROM no_such_table": 1146,
		"SELEKT 1":                    1064,
	} {
		_, err := db.Exec(statement)
		var failure *mysql.MySQLError
		if !errors.As(err, &failure) || failure.Number != want {
			return fmt.Errorf("%s: got %v, expected error %d", statement, err, want)
		}
	}
	stranger, err := sql.Open("mysql", dsn("wrong", false))
	if err != nil {
		return err
	}
	defer stranger.Close()
	var failure *mysql.MySQLError
	if err := stranger.Ping(); !errors.As(err, &failure) || failure.Number != 1045 {
		return fmt.Errorf("a wrong password gave %v", err)
	}
	return db.Ping()
}

func many(db *sql.DB) error {
	var group sync.WaitGroup
	problems := make(chan error, 64)
	for n := 0; n < 64; n++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			var id int
			if err := db.QueryRow("SELECT id FROM items WHERE id = ?", n+10).Scan(&id); err != nil {
				problems <- err
			} else if id != n+10 {
				problems <- fmt.Errorf("asked for %d, got %d", n+10, id)
			}
		}(n)
	}
	group.Wait()
	close(problems)
	return <-problems
}
