//! The price of a row in a merge of four sorted shards: a million small rows, fed as they come off a socket.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardloom::merge::{
    AggregateColumn, AggregateFunction, MergeSpec, Merger, Pad, RowFormat, RowSink, SortKey, Step, Weight,
};
use shardloom::protocol::wire::put_lenenc_bytes;
use shardloom::protocol::{ColumnDef, ColumnType, ColumnView};

const SHARDS: u64 = 4;
const ROWS: u64 = 1_000_000;
/// What one read from a socket gives.
const CHUNK_BYTES: usize = 16 * 1024;
/// What is queued for the client before it is written.
const QUEUE_BYTES: usize = 64 * 1024;

fn column(name: &str, kind: ColumnType, charset: u16) -> ColumnDef {
    ColumnView::computed(name.as_bytes(), kind, 100, charset).to_owned()
}

/// A client's write buffer: packets with headers, emptied when it is full.
#[derive(Default)]
struct Client {
    queue: BytesMut,
    sequence: u8,
}

impl RowSink for Client {
    fn row(&mut self, payload: &[u8]) {
        self.queue.put_uint_le(payload.len() as u64, 3);
        self.queue.put_u8(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        self.queue.extend_from_slice(payload);
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE_BYTES
    }
}

/// The shards' rows as chunks of whole packets.
fn shards(row: impl Fn(u64, &mut Vec<u8>)) -> Vec<Vec<Bytes>> {
    (0..SHARDS)
        .map(|shard| {
            let mut chunks = Vec::new();
            let mut chunk = BytesMut::new();
            let mut payload = Vec::new();
            for n in (shard..ROWS).step_by(SHARDS as usize) {
                payload.clear();
                row(n, &mut payload);
                chunk.put_uint_le(payload.len() as u64, 3);
                chunk.put_u8(0);
                chunk.extend_from_slice(&payload);
                if chunk.len() >= CHUNK_BYTES {
                    chunks.push(chunk.split().freeze());
                }
            }
            chunks.push(chunk.freeze());
            chunks
        })
        .collect()
}

fn merge(spec: &MergeSpec, columns: &[ColumnDef], format: RowFormat, shards: &[Vec<Bytes>]) -> u64 {
    let mut merger = Merger::new(spec, columns, format, shards.len()).unwrap();
    let mut feeds: Vec<_> = shards.iter().map(|chunks| chunks.iter()).collect();
    let mut client = Client::default();
    loop {
        match merger.run(&mut client).unwrap() {
            Step::Need(input) => match feeds[input].next() {
                Some(chunk) => merger.push_packets(input, chunk.clone()),
                None => merger.end(input),
            },
            Step::SinkFull => {
                black_box(&client.queue[..]);
                client.queue.clear();
            }
            Step::NeedAny => unreachable!("all benches sort"),
            Step::Done => return merger.rows_out(),
        }
    }
}

fn text_row(n: u64, out: &mut Vec<u8>) {
    put_lenenc_bytes(out, n.to_string().as_bytes());
    put_lenenc_bytes(out, b"some text of a row");
    put_lenenc_bytes(out, b"2024-02-29 12:00:00");
}

fn merges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge 4 shards");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    let columns = vec![
        column("id", ColumnType::LONGLONG, 63),
        column("name", ColumnType::VAR_STRING, 45),
        column("at", ColumnType::DATETIME, 63),
    ];
    let by_id = MergeSpec { order: vec![SortKey::ascending(0)], ..Default::default() };

    let rows = shards(text_row);
    group.bench_function("text rows by integer", |b| b.iter(|| merge(&by_id, &columns, RowFormat::Text, &rows)));

    let rows = shards(|n, out| {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&n.to_le_bytes());
        put_lenenc_bytes(out, b"some text of a row");
        out.extend_from_slice(&[4, 0xE8, 7, 2, 29]);
    });
    group.bench_function("binary rows by integer", |b| b.iter(|| merge(&by_id, &columns, RowFormat::Binary, &rows)));

    let rows = shards(|n, out| {
        text_row(n, out);
        put_lenenc_bytes(out, format!("{n:020}").as_bytes());
    });
    let mut with_weight = columns.clone();
    with_weight.push(column("weight", ColumnType::VAR_STRING, 63));
    let weight = Some(Weight { column: 3, pad: Pad::Space(&[0, 0x20]) });
    let by_name =
        MergeSpec { order: vec![SortKey { weight, ..SortKey::ascending(1) }], hidden_columns: 1, ..Default::default() };
    group.bench_function("text rows by hidden weight", |b| {
        b.iter(|| merge(&by_name, &with_weight, RowFormat::Text, &rows))
    });

    let rows = shards(|n, out| {
        put_lenenc_bytes(out, (n / SHARDS).to_string().as_bytes());
        put_lenenc_bytes(out, b"3");
        put_lenenc_bytes(out, b"12345.67");
    });
    let totals = vec![
        column("id", ColumnType::LONGLONG, 63),
        column("count", ColumnType::LONGLONG, 63),
        column("sum", ColumnType::NEWDECIMAL, 63),
    ];
    let aggregates = vec![
        AggregateColumn { column: 1, function: AggregateFunction::Count },
        AggregateColumn { column: 2, function: AggregateFunction::Sum },
    ];
    let by_group =
        MergeSpec { group: by_id.order.clone(), order: by_id.order.clone(), aggregates, ..Default::default() };
    group.bench_function("groups of four with COUNT and SUM", |b| {
        b.iter(|| merge(&by_group, &totals, RowFormat::Text, &rows))
    });
    group.finish();
}

criterion_group!(benches, merges);
criterion_main!(benches);
