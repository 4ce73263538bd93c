//! Properties: what is encoded is parsed back, whatever the values; another implementation (`mysql_common`) reads it the
//! same; an answer cut anywhere is relayed unchanged.

use bytes::Bytes;
use mysql_common::io::ParseBuf;
use mysql_common::packets as theirs;
use mysql_common::proto::MyDeserialize;
use proptest::collection::vec;
use proptest::prelude::*;

use super::auth_packets::{AuthReply, AuthSwitch};
use super::execute::{ExecuteHead, ExecuteParams, Param, ParamData, ParamType, put_execute};
use super::handshake_response::ChangeUser;
use super::long_data::LongData;
use super::temporal::{DateTime, Time};
use super::text_row::CellSpan;
use super::*;

fn name() -> impl Strategy<Value = Vec<u8>> {
    vec(1u8..=255, 0..300)
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    any::<bool>().prop_map(|tracks| if tracks { Capabilities::SESSION_TRACK } else { Capabilities::NONE })
}

fn column() -> impl Strategy<Value = ColumnDef> {
    let names = (bytes(10), bytes(300), bytes(300), bytes(10), bytes(300), bytes(10));
    (names, any::<u16>(), any::<u32>(), any::<u8>(), any::<u16>(), any::<u8>()).prop_map(
        |((catalog, schema, table, org_table, name, org_name), charset, length, kind, flags, decimals)| ColumnDef {
            catalog: catalog.into(),
            schema: schema.into(),
            table: table.into(),
            org_table: org_table.into(),
            name: name.into(),
            org_name: org_name.into(),
            charset,
            length,
            kind: ColumnType(kind),
            flags: ColumnFlags(flags),
            decimals,
            default_value: Bytes::new(),
        },
    )
}

fn date_time() -> impl Strategy<Value = DateTime> {
    (0..10_000u16, 0..=12u8, 0..=31u8, 0..24u8, 0..60u8, 0..60u8, 0..1_000_000u32).prop_map(
        |(year, month, day, hour, minute, second, micros)| DateTime { year, month, day, hour, minute, second, micros },
    )
}

fn time() -> impl Strategy<Value = Time> {
    (any::<bool>(), 0..35u32, 0..24u8, 0..60u8, 0..60u8, 0..1_000_000u32).prop_map(
        |(negative, days, hours, minutes, seconds, micros)| Time { negative, days, hours, minutes, seconds, micros },
    )
}

/// A value that owns its bytes, with a type that holds it.
#[derive(Debug, Clone)]
enum Cell {
    Null(ColumnType),
    Int(ColumnType, i64),
    UInt(ColumnType, u64),
    Double(f64),
    Bytes(ColumnType, Vec<u8>),
    DateTime(DateTime),
    Time(Time),
}

impl Cell {
    fn kind(&self) -> ColumnType {
        match self {
            Self::Null(kind) | Self::Int(kind, _) | Self::UInt(kind, _) | Self::Bytes(kind, _) => *kind,
            Self::Double(_) => ColumnType::DOUBLE,
            Self::DateTime(_) => ColumnType::DATETIME,
            Self::Time(_) => ColumnType::TIME,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Null(_) => Value::Null,
            Self::Int(_, v) => Value::Int(*v),
            Self::UInt(_, v) => Value::UInt(*v),
            Self::Double(v) => Value::Double(*v),
            Self::Bytes(_, v) => Value::Bytes(v),
            Self::DateTime(v) => Value::DateTime(*v),
            Self::Time(v) => Value::Time(*v),
        }
    }

    fn unsigned(&self) -> bool {
        matches!(self, Self::UInt(..))
    }
}

fn cell() -> impl Strategy<Value = Cell> {
    let strings = prop::sample::select(std::vec![
        ColumnType::VAR_STRING,
        ColumnType::NEWDECIMAL,
        ColumnType::BLOB,
        ColumnType::JSON,
        ColumnType::BIT,
    ]);
    prop_oneof![
        any::<i32>().prop_map(|v| Cell::Int(ColumnType::LONG, v.into())),
        any::<i8>().prop_map(|v| Cell::Int(ColumnType::TINY, v.into())),
        any::<u64>().prop_map(|v| Cell::UInt(ColumnType::LONGLONG, v)),
        any::<u16>().prop_map(|v| Cell::UInt(ColumnType::SHORT, v.into())),
        any::<f64>().prop_filter("NaN equals nothing", |v| !v.is_nan()).prop_map(Cell::Double),
        (strings, bytes(600)).prop_map(|(kind, v)| Cell::Bytes(kind, v)),
        date_time().prop_map(Cell::DateTime),
        time().prop_map(Cell::Time),
        Just(Cell::Null(ColumnType::LONG)),
        Just(Cell::Null(ColumnType::VAR_STRING)),
    ]
}

proptest! {
    #[test]
    fn ok_packets(
        (affected_rows, last_insert_id, warnings) in any::<(u64, u64, u16)>(),
        info in bytes(300),
        schema in bytes(300),
        capabilities in capabilities(),
        as_eof: bool,
    ) {
        let mut session_state = Vec::new();
        let tracks = capabilities.contains(Capabilities::SESSION_TRACK);
        if tracks && !schema.is_empty() {
            session_track::put_schema(&schema, &mut session_state);
        }
        let changed = if session_state.is_empty() { StatusFlags::NONE } else { StatusFlags::SESSION_STATE_CHANGED };
        let status = StatusFlags::AUTOCOMMIT.with(changed);
        let ok = OkPacket {
            affected_rows, last_insert_id, status, warnings, info: &info, session_state: &session_state,
        };
        let mut out = Vec::new();
        if as_eof { ok.put_as_eof(capabilities, &mut out) } else { ok.put(capabilities, &mut out) }
        prop_assert_eq!(OkPacket::parse(&out, capabilities), Ok(ok));
        let mut state = ResponseState::new(ResponseKind::Results, true);
        state.accept(&out, out.len()).unwrap();
        prop_assert_eq!(state.outcome().affected_rows, affected_rows);
        prop_assert_eq!(state.status_at().map(|at| &out[at..at + 2]), Some(&status.0.to_le_bytes()[..]));
        for cut in 0..out.len() {
            let _ = OkPacket::parse(&out[..cut], capabilities);
        }
    }

    #[test]
    fn err_packets(errno: u16, message in bytes(511)) {
        let err = ErrPacket { errno, sqlstate: *b"42S02", message: &message };
        let mut out = Vec::new();
        err.put(&mut out);
        prop_assert_eq!(ErrPacket::parse(&out), Ok(err));
    }

    #[test]
    fn column_definitions(column in column()) {
        let mut out = Vec::new();
        column.put(&mut out);
        prop_assert_eq!(ColumnDef::parse(&Bytes::from(out.clone())), Ok(column.clone()));
        for cut in 0..out.len() {
            prop_assert!(ColumnView::parse(&out[..cut]).is_err());
        }
        if let Ok(parsed) = theirs::Column::deserialize((), &mut ParseBuf(&out)) {
            prop_assert_eq!(parsed.name_ref(), &column.name[..]);
            prop_assert_eq!(parsed.org_table_ref(), &column.org_table[..]);
            prop_assert_eq!(parsed.character_set(), column.charset);
            prop_assert_eq!(parsed.column_length(), column.length);
            prop_assert_eq!(parsed.decimals(), column.decimals);
        }
    }

    #[test]
    fn handshakes(
        server_version in name(),
        connection_id: u32,
        scramble in prop::array::uniform20(33u8..127),
        charset: u8,
        auth_plugin in name(),
    ) {
        let capabilities = Capabilities::OFFERED_TO_CLIENTS;
        let (status, version) = (StatusFlags::AUTOCOMMIT, &server_version);
        let hello = HandshakeV10 {
            server_version: version, connection_id, scramble, capabilities, charset, status, auth_plugin: &auth_plugin,
        };
        let mut out = Vec::new();
        hello.put(&mut out);
        prop_assert_eq!(HandshakeV10::parse(&out), Ok(hello));
        let parsed = theirs::HandshakePacket::deserialize((), &mut ParseBuf(&out)).unwrap();
        prop_assert_eq!(parsed.connection_id(), connection_id);
        prop_assert_eq!(parsed.scramble_1_ref(), &scramble[..8]);
        prop_assert_eq!(parsed.scramble_2_ref().map(|s| &s[..12]), Some(&scramble[8..]));
        prop_assert_eq!(parsed.capabilities().bits(), capabilities.low());
    }

    #[test]
    fn handshake_responses(
        user in name(),
        auth_response in bytes(250),
        database in prop::option::of(vec(1u8..=255, 1..70)),
        plugin in prop::option::of(name()),
        attributes in bytes(1000),
        lenenc: bool,
    ) {
        let mut capabilities = Capabilities::OFFERED_TO_CLIENTS
            .without(Capabilities::CONNECT_WITH_DB | Capabilities::PLUGIN_AUTH | Capabilities::CONNECT_ATTRS);
        if !lenenc {
            capabilities = capabilities.without(Capabilities::PLUGIN_AUTH_LENENC_DATA);
        }
        let response = HandshakeResponse {
            capabilities, max_packet_bytes: 1 << 24, charset: 45, user: &user, auth_response: &auth_response,
            database: database.as_deref(), auth_plugin: plugin.as_deref(), attributes: &attributes,
        };
        let mut out = Vec::new();
        response.put(&mut out);
        let parsed = HandshakeResponse::parse(&out).unwrap();
        prop_assert_eq!(HandshakeResponse { capabilities, ..parsed }, response);
        for cut in 0..out.len() {
            let _ = HandshakeResponse::parse(&out[..cut]);
        }
        let change = ChangeUser {
            user: &user, auth_response: &auth_response, database: database.as_deref(), charset: Some(45),
            auth_plugin: Some(b"p"), attributes: &attributes,
        };
        let mut out = Vec::new();
        change.put(&mut out);
        prop_assert_eq!(ChangeUser::parse(&out[1..], Capabilities::OFFERED_TO_CLIENTS), Ok(change));
    }

    #[test]
    fn auth_switches(plugin in name(), scramble in prop::option::of(prop::array::uniform20(any::<u8>()))) {
        prop_assume!(!plugin.is_empty());
        let switch = AuthSwitch { plugin: &plugin, scramble };
        let mut out = Vec::new();
        switch.put(&mut out);
        prop_assert_eq!(AuthReply::parse(&out), Ok(AuthReply::Switch(switch)));
    }

    #[test]
    fn text_rows(cells in vec(prop::option::of(bytes(300)), 0..20), keep in 0..20usize) {
        let mut out = Vec::new();
        cells.iter().for_each(|cell| text_row::put_cell(&mut out, cell.as_deref()));
        let mut spans = Vec::new();
        text_row::index(&out, cells.len(), &mut spans).unwrap();
        let read: Vec<_> = spans.iter().map(|span| span.of(&out).map(<[u8]>::to_vec)).collect();
        prop_assert_eq!(&read, &cells);
        if keep < cells.len() {
            let cut = &out[..spans[keep].at as usize];
            let kept: Vec<_> = text_row::cells(cut).map(|cell| cell.unwrap().map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(&kept[..], &cells[..keep]);
        }
    }

    #[test]
    fn binary_rows(cells in vec(cell(), 1..20), keep in 1..20usize) {
        let types: Vec<_> = cells.iter().map(Cell::kind).collect();
        let mut out = Vec::new();
        let mut row = binary_row::BinaryRow::begin(&mut out, cells.len());
        cells.iter().for_each(|cell| row.value(cell.kind(), &cell.value()));
        let mut spans: Vec<CellSpan> = Vec::new();
        binary_row::index(&out, &types, &mut spans).unwrap();
        for (cell, span) in cells.iter().zip(&spans) {
            prop_assert_eq!(binary_row::value(&out, span, cell.kind(), cell.unsigned()), Ok(cell.value()));
        }
        for cut in 0..out.len() {
            prop_assert!(binary_row::index(&out[..cut], &types, &mut Vec::new()).is_err());
        }
        let keep = keep.min(cells.len());
        let mut prefix = Vec::new();
        binary_row::put_prefix(&out, &spans, keep, &mut prefix);
        let mut expected = Vec::new();
        let mut row = binary_row::BinaryRow::begin(&mut expected, keep);
        cells[..keep].iter().for_each(|cell| row.value(cell.kind(), &cell.value()));
        prop_assert_eq!(prefix, expected);
    }

    #[test]
    fn executions(cells in vec((cell(), any::<bool>()), 0..30), statement_id: u32) {
        let mut wires = Vec::new();
        for (cell, _) in &cells {
            let mut wire = Vec::new();
            cell.value().put(cell.kind(), &mut wire);
            wires.push(wire);
        }
        let params = cells.iter().zip(&wires).map(|((cell, long), wire)| Param {
            param_type: ParamType { kind: cell.kind(), unsigned: cell.unsigned() },
            data: match cell {
                Cell::Null(_) => ParamData::Null,
                Cell::Bytes(_, bytes) if *long => ParamData::Bytes(bytes),
                _ => ParamData::Encoded(wire),
            },
        });
        let mut out = Vec::new();
        put_execute(statement_id, 0, params, &mut out);
        prop_assert_eq!(ExecuteHead::parse(&out).unwrap().statement_id, statement_id);
        let (mut read, none) = (ExecuteParams::default(), LongData::default());
        read.read(&out, cells.len(), &none).unwrap();
        for (i, (cell, _)) in cells.iter().enumerate() {
            prop_assert_eq!(read.value(i, &out, &none), Ok(cell.value()));
        }
        let mut again = Vec::new();
        put_execute(statement_id, 0, read.iter(&out, &none), &mut again);
        prop_assert_eq!(&again, &out);
        for cut in 0..out.len() {
            let result = ExecuteParams::default().read(&out[..cut], cells.len(), &none);
            prop_assert!(result.is_err() || cells.is_empty());
        }
    }

    #[test]
    fn dates_and_times(date in date_time(), time in time()) {
        let mut out = Vec::new();
        date.put(&mut out);
        prop_assert_eq!(DateTime::read(&out[1..]), Ok(date));
        prop_assert_eq!(usize::from(out[0]), out.len() - 1);
        out.clear();
        time.put(&mut out);
        let read = Time::read(&out[1..]).unwrap();
        // Zero has no sign.
        let zero = Time { negative: false, ..time } == Time::default();
        prop_assert_eq!(read, Time { negative: time.negative && !zero, ..time });
    }

    #[test]
    fn answers_cut_anywhere(
        rows in vec(vec(any::<u8>(), 1..400), 0..12),
        results in 1..4usize,
        deprecate_eof: bool,
        fails: bool,
        cuts in vec(1..200usize, 1..8),
    ) {
        let capabilities = if deprecate_eof { Capabilities::DEPRECATE_EOF } else { Capabilities::NONE };
        let (mut answer, mut seq) = (bytes::BytesMut::new(), 1);
        let mut writer = FrameWriter::new(&mut answer, &mut seq);
        for result in 1..=results {
            let more = result < results;
            let flag = if more { StatusFlags::MORE_RESULTS_EXISTS } else { StatusFlags::NONE };
            let column = ColumnView::computed(b"c", ColumnType::BLOB, 1, 45);
            writer.columns([column; 2].into_iter(), StatusFlags::NONE, capabilities);
            for row in &rows {
                writer.text_row([Some(&row[..]), None]);
            }
            if fails && !more {
                writer.error(&crate::error::SqlError::client(1317, "70100", "interrupted"));
            } else {
                writer.rows_end(flag, 0, capabilities);
            }
        }
        let mut scanner = ResultScanner::new(ResponseKind::Results, deprecate_eof);
        let (mut buffer, mut relayed, mut at) = (Vec::new(), Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            let end = (at + cut).min(answer.len());
            buffer.extend_from_slice(&answer[at..end]);
            at = end;
            let scan = scanner.scan(&mut buffer).unwrap();
            relayed.extend(buffer.drain(..scan.consumed));
            if scanner.is_done() {
                break;
            }
            prop_assert!(at < answer.len(), "not done at the end of the answer");
        }
        prop_assert_eq!(&relayed[..], &answer[..]);
        prop_assert_eq!(scanner.rows(), (rows.len() * results) as u64);
        prop_assert_eq!(scanner.outcome().errno, fails.then_some(1317));
    }
}
