-- The five transactions of the TPC-C shape, in their usual mix: new order 45 %, payment 43 %, order status, delivery and
-- stock level 4 % each. Small tables, so that a commit costs more than a cache miss. Everything but the items belongs to a
-- warehouse, by which the tables are sharded; 15 % of the payments and 1 % of the order lines concern another one.

sysbench.cmdline.options = {
   warehouses = {"Number of warehouses", 8},
   districts = {"Districts of a warehouse", 10},
   customers = {"Customers of a district", 60},
   items = {"Number of items", 500},
}

local opt
local random = math.random
local connection

local definitions = {
   "item (i_id INT NOT NULL PRIMARY KEY, i_name VARCHAR(24) NOT NULL, i_price DECIMAL(5,2) NOT NULL)",
   "warehouse (w_id INT NOT NULL PRIMARY KEY, w_name VARCHAR(10) NOT NULL, w_tax DECIMAL(4,4) NOT NULL, " ..
      "w_ytd DECIMAL(12,2) NOT NULL)",
   "district (d_w_id INT NOT NULL, d_id INT NOT NULL, d_tax DECIMAL(4,4) NOT NULL, d_ytd DECIMAL(12,2) NOT NULL, " ..
      "d_next_o_id INT NOT NULL, PRIMARY KEY (d_w_id, d_id))",
   "customer (c_w_id INT NOT NULL, c_d_id INT NOT NULL, c_id INT NOT NULL, c_last VARCHAR(16) NOT NULL, " ..
      "c_discount DECIMAL(4,4) NOT NULL, c_balance DECIMAL(12,2) NOT NULL, c_payment_cnt INT NOT NULL, " ..
      "PRIMARY KEY (c_w_id, c_d_id, c_id), KEY by_name (c_w_id, c_d_id, c_last))",
   "history (h_w_id INT NOT NULL, h_d_id INT NOT NULL, h_c_id INT NOT NULL, h_date DATETIME NOT NULL, " ..
      "h_amount DECIMAL(6,2) NOT NULL, KEY (h_w_id))",
   "orders (o_w_id INT NOT NULL, o_d_id INT NOT NULL, o_id INT NOT NULL, o_c_id INT NOT NULL, " ..
      "o_entry_d DATETIME NOT NULL, o_carrier_id INT, o_ol_cnt INT NOT NULL, PRIMARY KEY (o_w_id, o_d_id, o_id), " ..
      "KEY by_customer (o_w_id, o_d_id, o_c_id, o_id))",
   "new_order (no_w_id INT NOT NULL, no_d_id INT NOT NULL, no_o_id INT NOT NULL, PRIMARY KEY (no_w_id, no_d_id, no_o_id))",
   "order_line (ol_w_id INT NOT NULL, ol_d_id INT NOT NULL, ol_o_id INT NOT NULL, ol_number INT NOT NULL, " ..
      "ol_i_id INT NOT NULL, ol_supply_w_id INT NOT NULL, ol_delivery_d DATETIME, ol_quantity INT NOT NULL, " ..
      "ol_amount DECIMAL(6,2) NOT NULL, PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number))",
   "stock (s_w_id INT NOT NULL, s_i_id INT NOT NULL, s_quantity INT NOT NULL, s_ytd INT NOT NULL, " ..
      "s_order_cnt INT NOT NULL, s_remote_cnt INT NOT NULL, PRIMARY KEY (s_w_id, s_i_id))",
}

local function insert(name, count, row)
   local rows = {}
   for number = 1, count do
      rows[#rows + 1] = "(" .. row(number) .. ")"
      if #rows == 500 or number == count then
         connection:query("INSERT INTO " .. name .. " VALUES " .. table.concat(rows, ", "))
         rows = {}
      end
   end
end

local function last_name(number)
   return "NAME" .. number % 20
end

function prepare()
   opt = sysbench.opt
   connection = sysbench.sql.driver():connect()
   for _, definition in ipairs(definitions) do
      connection:query("CREATE TABLE " .. definition)
   end
   insert("item", opt.items, function(i) return string.format("%d, 'item %d', %.2f", i, i, 1 + i % 90) end)
   for w = 1, opt.warehouses do
      insert("warehouse", 1, function() return string.format("%d, 'W%d', 0.05, 0", w, w) end)
      insert("stock", opt.items, function(i) return string.format("%d, %d, 50, 0, 0, 0", w, i) end)
      insert("district", opt.districts, function(d) return string.format("%d, %d, 0.07, 0, 1", w, d) end)
      for d = 1, opt.districts do
         insert("customer", opt.customers, function(c)
            return string.format("%d, %d, %d, '%s', 0.1, 0, 0", w, d, c, last_name(c))
         end)
      end
   end
end

function thread_init()
   opt = sysbench.opt
   connection = sysbench.sql.driver():connect()
end

function sysbench.hooks.before_restart_event()
   connection:query("ROLLBACK")
end

local function run(...)
   return connection:query(string.format(...))
end

local function row(...)
   return connection:query_row(string.format(...))
end

local function other_warehouse(w)
   if opt.warehouses == 1 then return w end
   local other = random(1, opt.warehouses - 1)
   return other < w and other or other + 1
end

local function new_order(w, d)
   local c, count = random(1, opt.customers), random(5, 15)
   local items, lines = {}, {}
   -- in ascending order, so that nobody waits in a circle for stock
   for number = 1, count do items[number] = random(1, opt.items) end
   table.sort(items)
   run("BEGIN")
   row("SELECT c_discount, c_last FROM customer WHERE c_w_id = %d AND c_d_id = %d AND c_id = %d", w, d, c)
   row("SELECT w_tax FROM warehouse WHERE w_id = %d", w)
   local order = tonumber((row("SELECT d_next_o_id FROM district WHERE d_w_id = %d AND d_id = %d FOR UPDATE", w, d)))
   run("UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = %d AND d_id = %d", w, d)
   run("INSERT INTO orders VALUES (%d, %d, %d, %d, NOW(), NULL, %d)", w, d, order, c, count)
   run("INSERT INTO new_order VALUES (%d, %d, %d)", w, d, order)
   for number, item in ipairs(items) do
      local supply = random(1, 100) == 1 and other_warehouse(w) or w
      local quantity = random(1, 10)
      local price = tonumber((row("SELECT i_price FROM item WHERE i_id = %d", item)))
      row("SELECT s_quantity FROM stock WHERE s_w_id = %d AND s_i_id = %d FOR UPDATE", supply, item)
      run("UPDATE stock SET s_quantity = IF(s_quantity >= %d + 10, s_quantity - %d, s_quantity - %d + 91), " ..
         "s_ytd = s_ytd + %d, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + %d " ..
         "WHERE s_w_id = %d AND s_i_id = %d", quantity, quantity, quantity, quantity, supply == w and 0 or 1, supply, item)
      lines[number] = string.format("(%d, %d, %d, %d, %d, %d, NULL, %d, %.2f)", w, d, order, number, item, supply,
         quantity, quantity * price)
   end
   run("INSERT INTO order_line VALUES %s", table.concat(lines, ", "))
   run("COMMIT")
end

local function payment(w, d)
   local amount = random(1, 5000)
   local c_w, c_d, c = w, d, random(1, opt.customers)
   if random(1, 100) <= 15 then c_w, c_d = other_warehouse(w), random(1, opt.districts) end
   run("BEGIN")
   run("UPDATE warehouse SET w_ytd = w_ytd + %d WHERE w_id = %d", amount, w)
   run("UPDATE district SET d_ytd = d_ytd + %d WHERE d_w_id = %d AND d_id = %d", amount, w, d)
   row("SELECT w_name FROM warehouse WHERE w_id = %d", w)
   if random(1, 100) <= 60 then
      row("SELECT COUNT(*) FROM customer WHERE c_w_id = %d AND c_d_id = %d AND c_last = '%s'", c_w, c_d, last_name(c))
   end
   row("SELECT c_balance FROM customer WHERE c_w_id = %d AND c_d_id = %d AND c_id = %d FOR UPDATE", c_w, c_d, c)
   run("UPDATE customer SET c_balance = c_balance - %d, c_payment_cnt = c_payment_cnt + 1 " ..
      "WHERE c_w_id = %d AND c_d_id = %d AND c_id = %d", amount, c_w, c_d, c)
   run("INSERT INTO history VALUES (%d, %d, %d, NOW(), %d)", w, d, c, amount % 1000)
   run("COMMIT")
end

local function order_status(w, d)
   local c = random(1, opt.customers)
   run("BEGIN")
   row("SELECT c_balance, c_last FROM customer WHERE c_w_id = %d AND c_d_id = %d AND c_id = %d", w, d, c)
   local order = row("SELECT MAX(o_id) FROM orders WHERE o_w_id = %d AND o_d_id = %d AND o_c_id = %d", w, d, c)
   if order then
      run("SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d FROM order_line " ..
         "WHERE ol_w_id = %d AND ol_d_id = %d AND ol_o_id = %s", w, d, order)
   end
   run("COMMIT")
end

local function delivery(w)
   local carrier = random(1, 10)
   run("BEGIN")
   for d = 1, opt.districts do
      local order = row("SELECT no_o_id FROM new_order WHERE no_w_id = %d AND no_d_id = %d ORDER BY no_o_id LIMIT 1 FOR UPDATE",
         w, d)
      if order then
         run("DELETE FROM new_order WHERE no_w_id = %d AND no_d_id = %d AND no_o_id = %s", w, d, order)
         -- locking reads: the order may be younger than the transaction's snapshot
         local c = row("SELECT o_c_id FROM orders WHERE o_w_id = %d AND o_d_id = %d AND o_id = %s FOR UPDATE", w, d, order)
         run("UPDATE orders SET o_carrier_id = %d WHERE o_w_id = %d AND o_d_id = %d AND o_id = %s", carrier, w, d, order)
         run("UPDATE order_line SET ol_delivery_d = NOW() WHERE ol_w_id = %d AND ol_d_id = %d AND ol_o_id = %s", w, d, order)
         local sum = row("SELECT SUM(ol_amount) FROM order_line WHERE ol_w_id = %d AND ol_d_id = %d AND ol_o_id = %s FOR UPDATE",
            w, d, order)
         run("UPDATE customer SET c_balance = c_balance + %s WHERE c_w_id = %d AND c_d_id = %d AND c_id = %s", sum, w, d, c)
      end
   end
   run("COMMIT")
end

local function stock_level(w, d)
   run("BEGIN")
   local next_order = tonumber((row("SELECT d_next_o_id FROM district WHERE d_w_id = %d AND d_id = %d", w, d)))
   row("SELECT COUNT(DISTINCT s_i_id) FROM order_line JOIN stock ON s_w_id = ol_w_id AND s_i_id = ol_i_id " ..
      "WHERE ol_w_id = %d AND ol_d_id = %d AND ol_o_id >= %d AND s_quantity < %d", w, d, next_order - 20, random(10, 20))
   run("COMMIT")
end

function event()
   local w, d, kind = random(1, opt.warehouses), random(1, opt.districts), random(1, 100)
   if kind <= 45 then new_order(w, d)
   elseif kind <= 88 then payment(w, d)
   elseif kind <= 92 then order_status(w, d)
   elseif kind <= 96 then delivery(w)
   else stock_level(w, d) end
end
