// mysql2: text and prepared statements, streams, pools.
'use strict';

const assert = require('node:assert/strict');
const mysql = require('mysql2');
const promises = require('mysql2/promise');

const where = {
  host: process.env.DB_HOST || '127.0.0.1',
  port: Number(process.env.DB_PORT),
  user: process.env.DB_USER,
  password: process.env.DB_PASSWORD,
  database: process.env.DB_SCHEMA,
  supportBigNumbers: true,
  bigNumberStrings: true,
};
const ROWS = 500;
const step = (name) => console.log(`ok ${name}`);
const row = (n) => [n, `näme-${n} 😀`, (n - 250.25).toFixed(2), n % 3 === 0 ? null : `it's "note" ${n}\\`];

async function failsWith(errno, action) {
  await assert.rejects(action, (error) => {
    assert.equal(error.errno, errno);
    return true;
  });
}

async function main() {
  const db = await promises.createConnection(where);
  const [[one]] = await db.query('SELECT 1 AS a, NULL AS b, DATABASE() AS c');
  // MySQL calls a small constant BIGINT, MariaDB INT: one comes as a string, the other as a number.
  assert.deepEqual({ ...one, a: Number(one.a) }, { a: 1, b: null, c: where.database });
  await db.ping();
  step('connect');

  await db.query('DROP TABLE IF EXISTS items');
  await db.query('DROP TABLE IF EXISTS tickets');
  await db.query('CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL,' +
    ' price DECIMAL(10,2) NOT NULL, note TEXT) DEFAULT CHARSET=utf8mb4');
  await db.query('CREATE TABLE tickets (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(50) NOT NULL)');
  const rows = Array.from({ length: ROWS }, (_, n) => row(n));
  const [inserted] = await db.query('INSERT INTO items (id, name, price, note) VALUES ?', [rows]);
  assert.equal(inserted.affectedRows, ROWS);
  step('batch insert');

  for (const n of [1, 2, 499]) {
    const [[got]] = await db.execute('SELECT * FROM items WHERE id = ?', [n]);
    assert.deepEqual(Object.values(got), row(n));
  }
  const [page] = await db.execute('SELECT id FROM items ORDER BY id LIMIT ? OFFSET ?', ['10', '20']);
  assert.deepEqual(page.map((r) => r.id), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  const [changed] = await db.execute('UPDATE items SET note = ? WHERE id = ?', [null, 1]);
  assert.equal(changed.affectedRows, 1);
  const [sums] = await db.execute('SELECT COUNT(*) AS n, SUM(price) AS s FROM items WHERE id < ?', [10]);
  assert.deepEqual({ ...sums[0] }, { n: '10', s: '-2457.50' });
  step('prepare and page');

  assert.equal(await streamed('SELECT id, name FROM items ORDER BY id'), ROWS);
  step('stream');

  const [, fields] = await db.query('SELECT id, name, price, note FROM items AS i WHERE id = 1');
  assert.deepEqual(fields.map((f) => [f.name, f.columnType, f.table, f.orgTable]),
    [['id', 3, 'i', 'items'], ['name', 253, 'i', 'items'], ['price', 246, 'i', 'items'], ['note', 252, 'i', 'items']]);
  step('metadata');

  const keys = [];
  for (const title of ['a', 'b', 'c']) {
    const [result] = await db.execute('INSERT INTO tickets (title) VALUES (?)', [title]);
    keys.push(BigInt(result.insertId));
  }
  assert.ok(keys[0] > 0n && keys[0] < keys[1] && keys[1] < keys[2], `keys rise: ${keys}`);
  const [[ticket]] = await db.execute('SELECT title FROM tickets WHERE id = ?', [String(keys[1])]);
  assert.equal(ticket.title, 'b');
  step('generated keys');

  await db.beginTransaction();
  await db.execute('DELETE FROM items WHERE id = ?', [7]);
  await db.rollback();
  const [[kept]] = await db.query('SELECT COUNT(*) AS n FROM items WHERE id = 7');
  assert.equal(Number(kept.n), 1);
  await db.beginTransaction();
  await db.execute('DELETE FROM items WHERE id = ?', [7]);
  await db.commit();
  const [[gone]] = await db.query('SELECT COUNT(*) AS n FROM items WHERE id = 7');
  assert.equal(Number(gone.n), 0);
  step('transactions');

  await failsWith(1062, db.execute('INSERT INTO items (id, name, price) VALUES (?, ?, ?)', [1, 'x', 1]));
  await failsWith(1146, db.query('SELECT * FROM no_such_table'));
  await failsWith(1064, db.execute('SELEKT 1'));
  await failsWith(1045, promises.createConnection({ ...where, password: 'wrong' }));
  const [[after]] = await db.query('SELECT 5 AS n');
  assert.equal(Number(after.n), 5);
  step('errors');

  const multi = await promises.createConnection({ ...where, multipleStatements: true });
  const [results] = await multi.query('SELECT 1 AS a; SELECT id FROM items WHERE id = 3; DO 0');
  assert.deepEqual([Number(results[0][0].a), results[1][0].id, results[2].affectedRows], [1, 3, 0]);
  await multi.changeUser({ user: where.user, password: where.password, database: where.database });
  await multi.end();
  step('several statements, change of user');

  const pool = promises.createPool({ ...where, connectionLimit: 8 });
  const answers = await Promise.all(Array.from({ length: 64 }, (_, n) =>
    pool.execute('SELECT id FROM items WHERE id = ?', [n + 10])));
  assert.deepEqual(answers.map(([[r]]) => r.id), Array.from({ length: 64 }, (_, n) => n + 10));
  await pool.end();
  await db.end();
  step('pool');
}

// A stream that reads slower than the server sends.
function streamed(sql) {
  return new Promise((resolve, reject) => {
    const connection = mysql.createConnection(where);
    let count = 0;
    const stream = connection.query(sql).stream({ highWaterMark: 5 });
    stream.on('data', () => { count += 1; });
    stream.on('error', reject);
    stream.on('end', () => connection.end(() => resolve(count)));
  });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
