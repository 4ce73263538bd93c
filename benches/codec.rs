//! The packet codec: what a relayed statement costs, and what a merged row costs.
//!
//! `cargo bench --bench codec`
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardloom::protocol::binary_row::{self, BinaryRow};
use shardloom::protocol::execute::{ExecuteParams, Param, put_execute};
use shardloom::protocol::long_data::LongData;
use shardloom::protocol::{
    Capabilities, ColumnType, ColumnView, Command, FrameWriter, OkPacket, ResponseKind, ResultScanner, StatusFlags,
    Value, text_row,
};

fn column() -> ColumnView<'static> {
    ColumnView {
        schema: b"sbtest",
        table: b"sbtest1",
        org_table: b"sbtest1",
        org_name: b"c",
        ..ColumnView::computed(b"c", ColumnType::STRING, 480, 45)
    }
}

/// An answer of `rows` rows with one column of 120 bytes: sysbench's point select, or many of them.
fn answer(rows: usize, capabilities: Capabilities) -> BytesMut {
    let (mut out, mut seq) = (BytesMut::new(), 1);
    let mut writer = FrameWriter::new(&mut out, &mut seq);
    writer.columns([column()].into_iter(), StatusFlags::AUTOCOMMIT, capabilities);
    for _ in 0..rows {
        writer.text_row([Some(&[b'x'; 119][..])]);
    }
    writer.rows_end(StatusFlags::AUTOCOMMIT, 0, capabilities);
    out
}

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for (name, rows) in [("point select", 1), ("10000 rows", 10_000)] {
        for (eof, capabilities) in [("EOF", Capabilities::NONE), ("no EOF", Capabilities::DEPRECATE_EOF)] {
            let mut bytes = answer(rows, capabilities);
            let deprecate_eof = capabilities.contains(Capabilities::DEPRECATE_EOF);
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(format!("{name}, {eof}"), |b| {
                b.iter(|| {
                    let mut scanner = ResultScanner::new(ResponseKind::Results, deprecate_eof);
                    let scan = scanner.scan(black_box(&mut bytes)).expect("an answer");
                    assert!(scanner.is_done());
                    black_box((scan, scanner.outcome().status))
                });
            });
        }
    }
    group.finish();
}

fn execute(c: &mut Criterion) {
    let mut group = c.benchmark_group("execute");
    let id = 5_001_234i64.to_le_bytes();
    let mut packet = Vec::new();
    put_execute(7, 0, [Param::int64(&id), Param::text(b"some text")].into_iter(), &mut packet);
    let (mut params, none) = (ExecuteParams::default(), LongData::default());
    let mut out = Vec::with_capacity(256);
    group.bench_function("parse command and parameters", |b| {
        b.iter(|| {
            let Ok(Command::StmtExecute(payload)) = Command::parse(black_box(&packet)) else { return };
            params.read(payload, 2, &none).expect("an execution");
            black_box(params.value(0, payload, &none).ok());
        });
    });
    group.bench_function("encode again with types", |b| {
        b.iter(|| {
            out.clear();
            put_execute(9, 0, params.iter(black_box(&packet), &none), &mut out);
        });
    });
    group.finish();
}

fn packets(c: &mut Criterion) {
    let mut group = c.benchmark_group("packets");
    let mut out = Vec::with_capacity(512);
    let ok = OkPacket { affected_rows: 1, status: StatusFlags::AUTOCOMMIT, ..Default::default() };
    group.bench_function("encode OK", |b| {
        b.iter(|| {
            out.clear();
            black_box(&ok).put(Capabilities::SESSION_TRACK, &mut out);
        });
    });
    let mut encoded = Vec::new();
    column().put(&mut encoded);
    group.bench_function("rename a column", |b| {
        b.iter(|| {
            out.clear();
            let view = ColumnView::parse(black_box(&encoded)).expect("a column");
            ColumnView { table: b"orders", org_table: b"orders", ..view }.put(&mut out);
        });
    });
    group.finish();
}

fn rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("rows");
    let mut text = Vec::new();
    for _ in 0..5 {
        text_row::put_int(&mut text, 123_456);
        text_row::put_cell(&mut text, Some(b"some text of a row"));
    }
    let mut spans = Vec::new();
    group.bench_function("find 10 cells of a text row", |b| {
        b.iter(|| text_row::index(black_box(&text), 10, &mut spans).expect("a row"));
    });
    let types = [ColumnType::LONG, ColumnType::VAR_STRING].repeat(5);
    let mut binary = Vec::new();
    let mut row = BinaryRow::begin(&mut binary, 10);
    for _ in 0..5 {
        row.value(ColumnType::LONG, &Value::Int(123_456));
        row.value(ColumnType::VAR_STRING, &Value::Bytes(b"some text of a row"));
    }
    group.bench_function("find 10 cells of a binary row", |b| {
        b.iter(|| binary_row::index(black_box(&binary), &types, &mut spans).expect("a row"));
    });
    let mut out = Vec::with_capacity(512);
    binary_row::index(&binary, &types, &mut spans).expect("a row");
    group.bench_function("drop 2 of 10 columns of a binary row", |b| {
        b.iter(|| {
            out.clear();
            binary_row::put_prefix(black_box(&binary), &spans, 8, &mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, scan, execute, packets, rows);
criterion_main!(benches);
