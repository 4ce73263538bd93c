//! The cases that a client would notice.

use super::*;

/// Text rows of one column or more, `None` for NULL.
fn text_rows(columns: &[ColumnDef], rows: &[&[Option<&str>]]) -> Vec<Bytes> {
    let model = |row: &&[Option<&str>]| row.iter().map(|cell| cell.map_or(Null, |text| Text(text.into()))).collect();
    encode_all(columns, &rows.iter().map(model).collect::<Vec<Model>>(), RowFormat::Text)
}

fn merge_text(
    spec: &MergeSpec,
    columns: &[ColumnDef],
    shards: &[&[&[Option<&str>]]],
) -> Result<Vec<Bytes>, MergeError> {
    let shards: Vec<_> = shards.iter().map(|rows| text_rows(columns, rows)).collect();
    merge(spec, columns, RowFormat::Text, &shards, 1)
}

#[test]
fn aggregates_without_group_by_make_one_row() {
    let columns = sale_columns();
    let spec = sale_spec(vec![], vec![]);
    let empty: &[Option<&str>] = &[None, Some("0"), None, None, None, None, Some("0"), None, Some("0")];
    let some: &[Option<&str>] = &[
        None,
        Some("3"),
        Some("1.00"),
        Some("0.333333"),
        Some("-1.50"),
        Some("2.00"),
        Some("5"),
        Some("1.00"),
        Some("3"),
    ];
    let merged = merge_text(&spec, &columns, &[&[empty], &[some], &[empty], &[some]]).unwrap();
    let expected: &[Option<&str>] =
        &[None, Some("6"), Some("2.00"), Some("0.333333"), Some("-1.50"), Some("2.00"), Some("5")];
    assert_eq!(merged, text_rows(&columns[..7], &[expected]));
    // Over no rows at all: counts of zero, NULL for the rest.
    let merged = merge_text(&spec, &columns, &[&[empty], &[empty]]).unwrap();
    assert_eq!(merged, text_rows(&columns[..7], &[&empty[..7]]));
    // Shards that do not answer with a row are not an answer.
    assert!(matches!(merge_text(&spec, &columns, &[&[], &[]]), Err(MergeError::Plan(_))));
}

#[test]
fn a_limit_is_done_before_the_shards_are() {
    let columns = [column("id", ColumnType::LONG)];
    let spec = MergeSpec { order: vec![SortKey::ascending(0)], limit: Some(2), offset: 1, ..Default::default() };
    let mut merger = Merger::new(&spec, &columns, RowFormat::Text, 2).unwrap();
    let mut out: Vec<Bytes> = Vec::new();
    assert_eq!(merger.run(&mut out), Ok(Step::Need(0)));
    for row in text_rows(&columns, &[&[Some("1")], &[Some("2")], &[Some("3")], &[Some("4")]]) {
        merger.push(0, row);
    }
    assert_eq!(merger.run(&mut out), Ok(Step::Need(1)));
    merger.end(1);
    assert_eq!(merger.run(&mut out), Ok(Step::Done));
    assert_eq!(out, text_rows(&columns, &[&[Some("2")], &[Some("3")]]));
    let none = MergeSpec { limit: Some(0), ..spec };
    assert_eq!(Merger::new(&none, &columns, RowFormat::Text, 2).unwrap().run(&mut out), Ok(Step::Done));
}

#[test]
fn unordered_rows_leave_as_they_come_and_are_limited() {
    let columns = [column("id", ColumnType::LONG)];
    let mut merger =
        Merger::new(&MergeSpec { limit: Some(3), ..Default::default() }, &columns, RowFormat::Text, 2).unwrap();
    let rows = text_rows(&columns, &[&[Some("9")], &[Some("1")], &[Some("5")], &[Some("2")]]);
    let mut out: Vec<Bytes> = Vec::new();
    assert_eq!(merger.run(&mut out), Ok(Step::NeedAny));
    merger.push(1, rows[0].clone());
    assert_eq!(merger.run(&mut out), Ok(Step::NeedAny));
    merger.push(0, rows[1].clone());
    merger.end(0);
    merger.push(1, rows[2].clone());
    merger.push(1, rows[3].clone());
    assert_eq!(merger.run(&mut out), Ok(Step::Done));
    assert_eq!(out.len(), 3);
    assert_eq!(out[0], rows[0]);
}

#[test]
fn rows_out_of_order_are_an_error_not_a_wrong_answer() {
    let columns = [column("id", ColumnType::LONG)];
    let spec = MergeSpec { order: vec![SortKey::ascending(0)], ..Default::default() };
    let error = merge_text(&spec, &columns, &[&[&[Some("2")], &[Some("1")]]]).unwrap_err();
    assert_eq!(error, MergeError::OutOfOrder { column: "id".into() });
    let error = merge_text(&spec, &columns, &[&[&[Some("x")]]]).unwrap_err();
    assert_eq!(error, MergeError::BadValue { column: "id".into(), expected: "an integer" });
}

/// One input of many rows in one run of packets, by the numbers of its rows.
fn merge_numbers(numbers: &[i64], limit: Option<u64>) -> Result<Vec<Bytes>, MergeError> {
    let columns = [column("id", ColumnType::LONG)];
    let rows: Vec<Model> = numbers.iter().map(|&number| vec![Cell::Int(number)]).collect();
    let spec = MergeSpec { order: vec![SortKey::ascending(0)], limit, ..Default::default() };
    let shard = encode_all(&columns, &rows, RowFormat::Text);
    merge(&spec, &columns, RowFormat::Text, &[shard.clone(), shard], numbers.len())
}

#[test]
fn rows_are_decoded_ahead_without_a_trace() {
    // Longer than what is decoded at once, with equal rows everywhere.
    let mut numbers: Vec<i64> = (0..200).map(|n| n / 3).collect();
    let twice: Vec<Model> = numbers.iter().flat_map(|&n| [n, n]).map(|n| vec![Cell::Int(n)]).collect();
    let columns = [column("id", ColumnType::LONG)];
    assert_eq!(merge_numbers(&numbers, None).unwrap(), encode_all(&columns, &twice, RowFormat::Text));
    for wrong in [63, 64, 65, 128, 199] {
        let right = std::mem::replace(&mut numbers[wrong], -1);
        let error = merge_numbers(&numbers, None).unwrap_err();
        assert_eq!(error, MergeError::OutOfOrder { column: "id".into() }, "row {wrong}");
        // What is behind LIMIT is no business of the answer.
        assert_eq!(merge_numbers(&numbers, Some(wrong as u64)).unwrap().len(), wrong, "row {wrong}");
        numbers[wrong] = right;
    }
}

#[test]
fn text_past_the_sort_length_is_in_whatever_order_the_server_left_it() {
    let columns = [weight_column("blob"), column("id", ColumnType::LONG)];
    let spec = MergeSpec { order: vec![SortKey::ascending(0), SortKey::ascending(1)], ..Default::default() };
    let prefix = "p".repeat(1024);
    let (a, b) = (format!("{prefix}a"), format!("{prefix}b"));
    assert!(merge_text(&spec, &columns, &[&[&[Some(&b), Some("1")], &[Some(&a), Some("2")]]]).is_ok());
    let (a, b) = (&a[1..], &b[1..]);
    assert!(merge_text(&spec, &columns, &[&[&[Some(b), Some("1")], &[Some(a), Some("2")]]]).is_err());
}

#[test]
fn a_weight_that_the_server_gave_up_on_is_refused() {
    let columns = [column("name", ColumnType::VAR_STRING), weight_column("weight")];
    let weight = Some(Weight { column: 1, pad: Pad::None });
    let order = vec![SortKey { weight, ..SortKey::ascending(0) }];
    let spec = MergeSpec { order, hidden_columns: 1, ..Default::default() };
    assert!(merge_text(&spec, &columns, &[&[&[None, None]]]).is_ok());
    let error = merge_text(&spec, &columns, &[&[&[Some("long"), None]]]).unwrap_err();
    assert!(error.to_string().contains("'name'"), "{error}");
}

#[test]
fn extremes_of_text_compare_by_their_weight() {
    let columns = [column("max", ColumnType::VAR_STRING), weight_column("weight")];
    let weight = Some(Weight { column: 1, pad: Pad::Space(b" ") });
    let aggregates = vec![AggregateColumn { column: 0, function: AggregateFunction::Max { weight } }];
    let spec = MergeSpec { aggregates, hidden_columns: 1, ..Default::default() };
    let merged = merge_text(
        &spec,
        &columns,
        &[&[&[Some("Z\t"), Some("Z\t")]], &[&[Some("z"), Some("Z")]], &[&[None, None]], &[&[Some("a"), Some("A")]]],
    );
    assert_eq!(merged.unwrap(), text_rows(&columns[..1], &[&[Some("z")]]));
}

#[test]
fn sums_keep_their_types() {
    let function = |function| vec![AggregateColumn { column: 0, function }];
    let sum = MergeSpec { aggregates: function(AggregateFunction::Sum), ..Default::default() };
    let double = [column("sum", ColumnType::DOUBLE)];
    let merged = merge_text(&sum, &double, &[&[&[Some("0.1")]], &[&[Some("0.2")]], &[&[None]]]).unwrap();
    assert_eq!(merged, text_rows(&double, &[&[Some("0.30000000000000004")]]));
    let decimal = [column("sum", ColumnType::NEWDECIMAL)];
    let nines = format!("{}.99", "9".repeat(63));
    let error = merge_text(&sum, &decimal, &[&[&[Some(&nines)]], &[&[Some("0.01")]]]).unwrap_err();
    assert_eq!(error.to_string(), "DECIMAL value is out of range in column 'sum'");
    let count = MergeSpec { aggregates: function(AggregateFunction::Count), ..Default::default() };
    let integer = [column("count", ColumnType::LONGLONG)];
    let most = i64::MAX.to_string();
    assert!(merge_text(&count, &integer, &[&[&[Some(&most)]], &[&[Some("1")]]]).is_err());
    let mut unsigned = integer.clone();
    unsigned[0].flags = unsigned[0].flags.with(ColumnFlags::UNSIGNED);
    let bits = MergeSpec { aggregates: function(AggregateFunction::BitAnd), ..Default::default() };
    let merged = merge_text(&bits, &unsigned, &[&[&[Some("18446744073709551615")]], &[&[Some("12")]]]).unwrap();
    assert_eq!(merged, text_rows(&unsigned, &[&[Some("12")]]));
}

#[test]
fn what_the_client_sees_is_not_what_the_server_sorts_by() {
    let refused = |columns: &[ColumnDef], format| {
        let spec = MergeSpec { order: vec![SortKey::ascending(0)], ..Default::default() };
        let error = Merger::new(&spec, columns, format, 2).err();
        error.is_some_and(|error| crate::error::Report::errno(&error) == 1235 && error.to_string().contains("'c'"))
    };
    let mut enumeration = column("c", ColumnType::STRING);
    enumeration.flags = ColumnFlags::ENUM;
    let mut rounded = column("c", ColumnType::DOUBLE);
    rounded.decimals = 2;
    for (column, format) in [
        (enumeration, RowFormat::Text),
        (rounded.clone(), RowFormat::Text),
        (column("c", ColumnType::VAR_STRING), RowFormat::Binary),
        (column("c", ColumnType::FLOAT), RowFormat::Text),
        (column("c", ColumnType::TIMESTAMP), RowFormat::Text),
        (column("c", ColumnType::JSON), RowFormat::Text),
        (column("c", ColumnType::GEOMETRY), RowFormat::Binary),
    ] {
        assert!(refused(std::slice::from_ref(&column), format), "{column:?}");
    }
    // A stored column was rounded when it was stored.
    rounded.org_name = "c".into();
    assert!(!refused(&[rounded], RowFormat::Text));
    assert!(!refused(&[column("c", ColumnType::FLOAT)], RowFormat::Binary));
}

#[test]
fn plans_that_contradict_themselves_are_errors() {
    let columns = [column("a", ColumnType::LONG), column("b", ColumnType::LONG)];
    let (a, b) = (SortKey::ascending(0), SortKey::ascending(1));
    for spec in [
        MergeSpec { group: vec![a.clone()], order: vec![b.clone(), a.clone()], ..Default::default() },
        MergeSpec { group: vec![a.clone()], ..Default::default() },
        MergeSpec { distinct: true, order: vec![a.clone()], ..Default::default() },
        MergeSpec { distinct: true, group: vec![a.clone()], order: vec![a.clone(), b], ..Default::default() },
        MergeSpec { order: vec![SortKey::ascending(2)], ..Default::default() },
        MergeSpec { hidden_columns: 2, ..Default::default() },
    ] {
        assert!(matches!(Merger::new(&spec, &columns, RowFormat::Text, 1), Err(MergeError::Plan(_))), "{spec:?}");
    }
}
