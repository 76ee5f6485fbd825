-- A database file with indexes, triggers, transactions, recursive and window queries, full-text search, JSON.
.bail on
.mode list
PRAGMA page_size = 1024;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, kind TEXT CHECK (kind IN ('a', 'b', 'c')));
CREATE INDEX item_kind ON item(kind, price);
CREATE TABLE log(entry TEXT);
CREATE TRIGGER item_update AFTER UPDATE ON item BEGIN
  INSERT INTO log VALUES (old.name || ': ' || old.price || ' -> ' || new.price);
END;
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO item SELECT i, printf('item-%04d', i), round((i * 7919 % 10007) / 100.0, 2), substr('abc', i % 3 + 1, 1) FROM n;
COMMIT;
SELECT kind, count(*), min(price), max(price), round(avg(price), 3) FROM item GROUP BY kind ORDER BY kind;
BEGIN;
DELETE FROM item;
SELECT count(*) FROM item;
ROLLBACK;
SELECT count(*) FROM item;
UPDATE item SET price = price * 2 WHERE id <= 3;
SELECT * FROM log;
SELECT name, price, rank() OVER (PARTITION BY kind ORDER BY price DESC) AS r, sum(price) OVER (ORDER BY id ROWS 2 PRECEDING)
  FROM item WHERE id % 1000 = 1 ORDER BY id;
EXPLAIN QUERY PLAN SELECT * FROM item WHERE kind = 'a' AND price > 50;
WITH RECURSIVE
  x(x) AS (VALUES (-2.0) UNION ALL SELECT x + 0.1 FROM x WHERE x < 1.2),
  y(y) AS (VALUES (-1.0) UNION ALL SELECT y + 0.2 FROM y WHERE y < 1.0),
  m(i, cx, cy, x, y) AS (
    SELECT 0, x, y, 0.0, 0.0 FROM x, y
    UNION ALL SELECT i + 1, cx, cy, x * x - y * y + cx, 2.0 * x * y + cy FROM m WHERE x * x + y * y < 4.0 AND i < 28)
SELECT group_concat(line, char(10)) FROM (
  SELECT group_concat(substr(' .+*#', 1 + min(n / 7, 4), 1), '') AS line FROM (
    SELECT max(i) AS n, cx, cy FROM m GROUP BY cx, cy ORDER BY cy, cx) GROUP BY cy);
CREATE VIRTUAL TABLE note USING fts5(body);
INSERT INTO note VALUES ('WebAssembly runs in browsers'), ('and outside of browsers'), ('neural networks run too');
SELECT rowid, highlight(note, 0, '[', ']') FROM note WHERE note MATCH 'browsers OR neur*' ORDER BY rowid;
SELECT json_extract('{"a":[1,2,{"b":"x"}]}', '$.a[2].b'), json_group_array(value) FROM json_each('[3,1,2]');
SELECT hex(zeroblob(4)), quote(x'00ff'), typeof(1.0), 9223372036854775807 + 1, 1 / 3.0, round(2.5), sqrt(2), upper('äb');
SELECT strftime('%Y-%j', '2026-11-22', '+40 days'), julianday('2000-01-01');
PRAGMA integrity_check;
VACUUM;
.mode csv
SELECT * FROM item WHERE id BETWEEN 10 AND 13;
.mode column
SELECT id, name FROM item WHERE id < 3;
.dump log
.bail off
SELECT * FROM nowhere;
INSERT INTO item VALUES (1, 'twice', 0, 'a');
INSERT INTO item VALUES (9999, 'wrong', 0, 'z');
SELECT count(*), sum(length(name)) FROM item;
