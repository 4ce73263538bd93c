//! Rows for the tables of TPC-H, from a seed: the distributions of the specification's section 4.2.3 where queries feel
//! them, and more of the values that the queries ask for, so that few rows are enough to answer them.

use crate::support::dice::Dice;

/// Nations, each with the number of its region.
const NATIONS: [(&str, usize); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];
const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
const SEGMENTS: [&str; 5] = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"];
const PRIORITIES: [&str; 5] = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const MODES: [&str; 7] = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
const INSTRUCTIONS: [&str; 4] = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
const TYPES: [&[&str]; 3] = [
    &["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"],
    &["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"],
    &["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"],
];
const CONTAINERS: [&[&str]; 2] =
    [&["SM", "LG", "MED", "JUMBO", "WRAP"], &["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"]];
const COLORS: [&str; 8] = ["green", "forest", "almond", "azure", "blush", "chiffon", "coral", "ivory"];
/// The nations, brands, sizes that the queries name.
const WANTED_NATIONS: [usize; 6] = [20, 7, 6, 2, 3, 12];
const WANTED_BRANDS: [&str; 4] = ["Brand#12", "Brand#23", "Brand#34", "Brand#45"];
const WANTED_SIZES: [usize; 4] = [15, 49, 14, 5];
/// Days from 1992-01-01 to 1998-08-02.
const ORDER_DAYS: usize = 2406;

/// A table's name and its rows, as literals.
pub type Table = (&'static str, Vec<String>);

/// All tables; `scale` thousandths of the standard size.
pub fn tables(scale: usize, seed: u64) -> Vec<Table> {
    let (suppliers, customers, parts, orders) = (10 * scale, 150 * scale, 200 * scale, 1500 * scale);
    let mut dice = Dice::new(seed, 0);
    let regions = REGIONS.iter().enumerate().map(|(key, name)| format!("({key}, '{name}', 'r')")).collect();
    let nations =
        NATIONS.iter().enumerate().map(|(key, (name, region))| format!("({key}, '{name}', {region}, 'n')")).collect();
    let mut tables = vec![("region", regions), ("nation", nations)];
    tables.push(("supplier", (1..=suppliers).map(|key| supplier(key, &mut dice)).collect()));
    tables.push(("customer", (1..=customers).map(|key| customer(key, &mut dice)).collect()));
    tables.push(("part", (1..=parts).map(|key| part(key, &mut dice)).collect()));
    let mut supplies = Vec::new();
    for part in 1..=parts {
        for number in 0..4 {
            let (quantity, cost) = (1 + dice.below(9999), money(100, 100_000, &mut dice));
            supplies.push(format!("({part}, {}, {quantity}, {cost}, 'ps')", supplier_of(part, number, suppliers)));
        }
    }
    tables.push(("partsupp", supplies));
    let (mut all_orders, mut lines) = (Vec::new(), Vec::new());
    for number in 1..=orders {
        order(number, [customers, parts, suppliers], &mut dice, &mut all_orders, &mut lines);
    }
    tables.push(("orders", all_orders));
    tables.push(("lineitem", lines));
    tables
}

/// The four suppliers of a part; a supplier is there but once.
fn supplier_of(part: usize, number: usize, suppliers: usize) -> usize {
    (part + number * (suppliers / 4).max(1)) % suppliers + 1
}

fn pick<'a>(list: &[&'a str], dice: &mut Dice) -> &'a str {
    dice.pick(list)
}

fn money(from_cents: usize, to_cents: usize, dice: &mut Dice) -> String {
    let cents = from_cents + dice.below(to_cents - from_cents);
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn balance(dice: &mut Dice) -> String {
    let sign = if dice.one_in(11) { "-" } else { "" };
    format!("{sign}{}", money(0, 999_999, dice))
}

fn nation(dice: &mut Dice) -> usize {
    if dice.one_in(2) { WANTED_NATIONS[dice.below(WANTED_NATIONS.len())] } else { dice.below(NATIONS.len()) }
}

fn phone(nation: usize, dice: &mut Dice) -> String {
    format!("{}-{}-{}-{}", nation + 10, 100 + dice.below(900), 100 + dice.below(900), 1000 + dice.below(9000))
}

fn supplier(key: usize, dice: &mut Dice) -> String {
    let nation = if key <= WANTED_NATIONS.len() { WANTED_NATIONS[key - 1] } else { nation(dice) };
    let (phone, balance) = (phone(nation, dice), balance(dice));
    let comment = if dice.one_in(8) { "sly Customer even Complaints" } else { "quick packages" };
    format!("({key}, 'Supplier#{key:09}', 'street {key}', {nation}, '{phone}', {balance}, '{comment}')")
}

fn customer(key: usize, dice: &mut Dice) -> String {
    let nation = nation(dice);
    let (phone, balance, segment) = (phone(nation, dice), balance(dice), pick(&SEGMENTS, dice));
    format!("({key}, 'Customer#{key:09}', 'street {key}', {nation}, '{phone}', {balance}, '{segment}', 'c')")
}

fn part(key: usize, dice: &mut Dice) -> String {
    let name = format!("{} {}", pick(&COLORS, dice), pick(&COLORS, dice));
    let maker = 1 + dice.below(5);
    let brand = if dice.one_in(2) {
        pick(&WANTED_BRANDS, dice).to_owned()
    } else {
        format!("Brand#{maker}{}", 1 + dice.below(5))
    };
    let kind = if dice.one_in(6) {
        "ECONOMY ANODIZED STEEL".to_owned()
    } else {
        TYPES.iter().map(|words| pick(words, dice)).collect::<Vec<_>>().join(" ")
    };
    let size = if dice.one_in(3) { WANTED_SIZES[dice.below(4)] } else { 1 + dice.below(50) };
    let container = if dice.one_in(3) {
        pick(&["SM CASE", "MED BOX", "LG PACK", "MED BAG"], dice).to_owned()
    } else {
        CONTAINERS.iter().map(|words| pick(words, dice)).collect::<Vec<_>>().join(" ")
    };
    let price = retail_cents(key);
    format!(
        "({key}, '{name}', 'Manufacturer#{maker}', '{brand}', '{kind}', {size}, '{container}', {}.{:02}, 'p')",
        price / 100,
        price % 100
    )
}

/// P_RETAILPRICE of the specification, in cents.
fn retail_cents(part: usize) -> usize {
    90_000 + (part / 10) % 20_001 + 100 * (part % 1000)
}

/// An order with its lines. A third of the customers have none.
fn order(
    number: usize,
    [customers, parts, suppliers]: [usize; 3],
    dice: &mut Dice,
    orders: &mut Vec<String>,
    lines: &mut Vec<String>,
) {
    // Of 32 keys, 8 are used.
    let key = (number / 8) * 32 + number % 8;
    let customer = loop {
        let customer = 1 + dice.below(customers);
        if !customer.is_multiple_of(3) {
            break customer;
        }
    };
    let day = dice.below(ORDER_DAYS);
    let large = dice.one_in(100);
    let count = if large { 7 } else { 1 + dice.below(7) };
    let (mut total_cents, mut shipped) = (0, 0);
    for line in 1..=count {
        let part = 1 + dice.below(parts);
        let supplier = supplier_of(part, dice.below(4), suppliers);
        let quantity = if large { 45 + dice.below(6) } else { 1 + dice.below(50) };
        let price = quantity * retail_cents(part);
        let (discount, tax) = (dice.below(11), dice.below(9));
        total_cents += price * (100 - discount) * (100 + tax) / 10_000;
        let ship = day + 1 + dice.below(121);
        let (commit, receipt) = (day + 30 + dice.below(61), ship + 1 + dice.below(30));
        let is_shipped = ship <= TODAY;
        shipped += usize::from(is_shipped);
        let returned = match (receipt <= TODAY, dice.one_in(2)) {
            (false, _) => "N",
            (true, true) => "R",
            (true, false) => "A",
        };
        let status = if is_shipped { "F" } else { "O" };
        let (instruction, mode) = (pick(&INSTRUCTIONS, dice), pick(&MODES, dice));
        lines.push(format!(
            "({key}, {part}, {supplier}, {line}, {quantity}, {}.{:02}, 0.{discount:02}, 0.{tax:02}, '{returned}', \
             '{status}', '{}', '{}', '{}', '{instruction}', '{mode}', 'l')",
            price / 100,
            price % 100,
            date(ship),
            date(commit),
            date(receipt)
        ));
    }
    let status = match shipped {
        0 => "O",
        all if all == count => "F",
        _ => "P",
    };
    let priority = pick(&PRIORITIES, dice);
    let comment = if dice.one_in(20) { "some special packages of requests" } else { "quick deposits" };
    orders.push(format!(
        "({key}, {customer}, '{status}', {}.{:02}, '{}', '{priority}', 'Clerk#1', 0, '{comment}')",
        total_cents / 100,
        total_cents % 100,
        date(day)
    ));
}

/// 1995-06-17, the specification's CURRENTDATE, in days from 1992-01-01.
const TODAY: usize = 1263;

/// The date so many days after 1992-01-01.
fn date(mut days: usize) -> String {
    let mut year = 1992_u32;
    loop {
        let leap = year.is_multiple_of(4);
        let length = if leap { 366 } else { 365 };
        if days < length {
            let february = if leap { 29 } else { 28 };
            let mut month = 1;
            for days_in_month in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                if days < days_in_month {
                    break;
                }
                days -= days_in_month;
                month += 1;
            }
            return format!("{year}-{month:02}-{:02}", days + 1);
        }
        days -= length;
        year += 1;
    }
}
