//! What both the fuzzer and the corpus test call. Nothing here may panic, whatever the bytes; what is parsed must be
//! encoded and parsed to the same again; and an answer must be judged the same however it is cut.

#![allow(clippy::expect_used)]

use shardloom::protocol::auth_packets::AuthReply;
use shardloom::protocol::execute::{ExecuteHead, ExecuteParams, put_execute};
use shardloom::protocol::handshake_response::ChangeUser;
use shardloom::protocol::long_data::LongData;
use shardloom::protocol::result_scan::{Rewrite, Watch};
use shardloom::protocol::session_track::SessionChanges;
use shardloom::protocol::text_row::CellSpan;
use shardloom::protocol::{
    Capabilities, ColumnType, ColumnView, Command, ConnectionAttributes, EofPacket, ErrPacket, HandshakeResponse,
    HandshakeV10, OkPacket, PrepareOk, ResponseKind, ResultScanner, SslRequest, StatusFlags, Stop, binary_row,
    text_row,
};

/// One packet, taken for each kind of packet in turn.
pub fn packet(data: &[u8]) {
    commands(data);
    greetings(data);
    replies(data);
    rows(data);
}

fn commands(data: &[u8]) {
    if let Ok(command) = Command::parse(data) {
        assert!(command.name().starts_with("COM_"));
    }
    if ExecuteHead::parse(data).is_err() {
        return;
    }
    for count in [0, 1, 2, 9] {
        let (mut params, mut long_data) = (ExecuteParams::default(), LongData::default());
        if data.len().is_multiple_of(3) {
            long_data.append(1, b"piece", 100);
        }
        if params.read(data, count, &long_data).is_err() {
            continue;
        }
        for param in 0..params.len() {
            let _ = params.value(param, data, &long_data);
        }
        let mut sent = Vec::new();
        put_execute(1, 0, params.iter(data, &long_data), &mut sent);
        let (mut again, none) = (ExecuteParams::default(), LongData::default());
        again.read(&sent, count, &none).expect("what was encoded is read");
        for param in 0..count {
            let (sent, read) = (params.value(param, data, &long_data), again.value(param, &sent, &none));
            // NaN equals nothing, but prints alike.
            assert_eq!(format!("{sent:?}"), format!("{read:?}"), "parameter {param}");
        }
    }
}

fn greetings(data: &[u8]) {
    let mut out = Vec::new();
    if let Ok(hello) = HandshakeV10::parse(data) {
        hello.put(&mut out);
        let again = HandshakeV10::parse(&out).expect("what was encoded is parsed");
        assert_eq!(again.server_version, hello.server_version);
        assert_eq!(again.scramble, hello.scramble);
    }
    let _ = SslRequest::is(data);
    let _ = SslRequest::parse(data);
    if let Ok(response) = HandshakeResponse::parse(data) {
        let _ = ConnectionAttributes::parse(response.attributes);
        out.clear();
        response.put(&mut out);
        let again = HandshakeResponse::parse(&out).expect("what was encoded is parsed");
        assert_eq!((again.user, again.database), (response.user, response.database));
        assert_eq!(again.auth_plugin, response.auth_plugin);
    }
    for capabilities in [Capabilities::OFFERED_TO_CLIENTS, Capabilities::NONE] {
        if let Ok(change) = ChangeUser::parse(data, capabilities) {
            let _ = ConnectionAttributes::parse(change.attributes);
        }
    }
}

fn replies(data: &[u8]) {
    let _ = AuthReply::parse(data);
    let mut out = Vec::new();
    for capabilities in [Capabilities::SESSION_TRACK, Capabilities::NONE] {
        if let Ok(ok) = OkPacket::parse(data, capabilities) {
            SessionChanges::new(ok.session_state).for_each(drop);
            out.clear();
            ok.put(capabilities, &mut out);
            let again = OkPacket::parse(&out, capabilities).expect("what was encoded is parsed");
            let tracked = StatusFlags::SESSION_STATE_CHANGED;
            assert_eq!(
                OkPacket { status: again.status.without(tracked), ..again },
                OkPacket { status: ok.status.without(tracked), ..ok }
            );
        }
    }
    let _ = EofPacket::parse(data);
    if let Ok(err) = ErrPacket::parse(data) {
        let _ = (err.sqlstate_str(), err.message_lossy());
        out.clear();
        err.put(&mut out);
        assert_eq!(ErrPacket::parse(&out).map(|again| again.errno), Ok(err.errno));
    }
    let _ = PrepareOk::parse(data);
    if let Ok(column) = ColumnView::parse(data) {
        out.clear();
        column.put(&mut out);
        assert_eq!(ColumnView::parse(&out), Ok(column));
    }
}

fn rows(data: &[u8]) {
    const TYPES: [ColumnType; 6] = [
        ColumnType::LONG,
        ColumnType::VAR_STRING,
        ColumnType::DATETIME,
        ColumnType::TIME,
        ColumnType::DOUBLE,
        ColumnType::NULL,
    ];
    let mut spans: Vec<CellSpan> = Vec::new();
    for columns in 0..4 {
        if text_row::index(data, columns, &mut spans).is_ok() {
            assert!(spans.iter().all(|span| span.null == span.of(data).is_none()));
        }
    }
    text_row::cells(data).for_each(drop);
    for columns in 0..=TYPES.len() {
        let types = &TYPES[..columns];
        if binary_row::index(data, types, &mut spans).is_err() {
            continue;
        }
        for (span, kind) in spans.iter().zip(types) {
            let _ = binary_row::value(data, span, *kind, false);
        }
        for keep in 0..=columns {
            let mut out = Vec::new();
            binary_row::put_prefix(data, &spans, keep, &mut out);
            binary_row::index(&out, &types[..keep], &mut Vec::new()).expect("a prefix of a row is a row");
        }
    }
}

/// The bytes of an answer, behind three that choose the command, the capabilities and how it is cut.
pub fn answer(data: &[u8]) {
    let [choice, step, seq_add, bytes @ ..] = data else { return };
    let kind = [
        ResponseKind::Results,
        ResponseKind::Fetch,
        ResponseKind::Prepare,
        ResponseKind::FieldList,
        ResponseKind::Text,
    ][usize::from(choice & 7) % 5];
    let watch = Watch { columns: choice & 16 != 0, results: choice & 32 != 0 };
    let rewrite = Rewrite { seq_add: *seq_add, status_set: StatusFlags::MORE_RESULTS_EXISTS, ..Default::default() };
    let new = || ResultScanner::new(kind, choice & 8 != 0).watching(watch).rewriting(rewrite);
    let whole = run(new(), bytes, bytes.len().max(1));
    let pieces = run(new(), bytes, usize::from(*step).max(1));
    assert_eq!(whole, pieces, "an answer is judged differently when it comes in pieces");
}

/// What a relay of an answer comes to: the bytes, whether it is complete, what it said, and whether it was understood.
type Relayed = (Vec<u8>, bool, String, bool);

fn run(mut scanner: ResultScanner, bytes: &[u8], step: usize) -> Relayed {
    let (mut buffer, mut relayed, mut understood) = (Vec::new(), Vec::new(), true);
    'pieces: for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            let Ok(scan) = scanner.scan(&mut buffer) else {
                understood = false;
                break 'pieces;
            };
            assert!(scan.consumed <= before);
            relayed.extend(buffer.drain(..scan.consumed));
            match scan.stop {
                Stop::NeedMore => break,
                Stop::Done(_) => break 'pieces,
                Stop::Column(range) | Stop::PrepareOk(range, _) | Stop::ResultEnd(range) | Stop::LocalInfile(range) => {
                    assert!(range.start < range.end && range.end == scan.consumed);
                }
            }
        }
    }
    let said = format!("{:?} {} {}", scanner.outcome(), scanner.rows(), scanner.last_seq());
    // What came before a mistake depends on where the pieces were cut; that there is one does not.
    if understood { (relayed, scanner.is_done(), said, true) } else { (Vec::new(), false, String::new(), false) }
}
