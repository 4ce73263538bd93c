-- Transactions of four updates whose rows lie on so many groups: what a commit over several costs.
-- Row n of the table is on group n modulo 4.

sysbench.cmdline.options = {
   spread = {"Over how many of four groups the rows of a transaction lie", 1},
   rows_each = {"Rows of each group", 1000},
}

function prepare()
   local connection = sysbench.sql.driver():connect()
   connection:query("CREATE TABLE ledger (id INT NOT NULL PRIMARY KEY, amount INT NOT NULL)")
   local rows = {}
   for id = 0, sysbench.opt.rows_each * 4 - 1 do
      rows[#rows + 1] = string.format("(%d, 0)", id)
      if #rows == 1000 then
         connection:query("INSERT INTO ledger VALUES " .. table.concat(rows, ", "))
         rows = {}
      end
   end
end

function thread_init()
   connection = sysbench.sql.driver():connect()
end

function sysbench.hooks.before_restart_event()
   connection:query("ROLLBACK")
end

function event()
   connection:query("BEGIN")
   -- each group once, or one group four times; rows in ascending order, so that nobody waits in a circle
   local ids = {}
   for number = 0, 3 do
      ids[#ids + 1] = math.random(0, sysbench.opt.rows_each - 1) * 4 + number % sysbench.opt.spread
   end
   table.sort(ids)
   for _, id in ipairs(ids) do
      connection:query("UPDATE ledger SET amount = amount + 1 WHERE id = " .. id)
   end
   connection:query("COMMIT")
end
