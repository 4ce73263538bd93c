// What is fed with bytes from outside. Shared by the fuzz targets and by tests/broken_input.rs.
// Nothing may panic, hang or grow without bound, whatever the bytes; a few things must also hold.

use shardloom::protocol::long_data::LongData;
use shardloom::protocol::{
    Capabilities, ColumnView, Command, EofPacket, ErrPacket, HandshakeResponse, HandshakeV10, OkPacket, PrepareOk,
    ResponseKind, ResultScanner, SslRequest, Stop, execute, handshake_response, text_row,
};
use shardloom::sql::{self, LexMode};

/// One payload, taken for every kind of packet that either side may send.
pub fn packets(data: &[u8]) {
    let (capabilities, payload) = match data.split_first_chunk::<4>() {
        Some((head, rest)) => (Capabilities(u64::from(u32::from_le_bytes(*head))), rest),
        None => (Capabilities::default(), data),
    };
    let _ = Command::parse(payload);
    let _ = HandshakeV10::parse(payload);
    let _ = HandshakeResponse::parse(payload);
    let _ = SslRequest::parse(payload);
    let _ = handshake_response::ChangeUser::parse(payload, capabilities);
    let _ = OkPacket::parse(payload, capabilities);
    let _ = ErrPacket::parse(payload);
    let _ = EofPacket::parse(payload);
    let _ = PrepareOk::parse(payload);
    let _ = ColumnView::parse(payload);
    let _ = text_row::cells(payload).take_while(Result::is_ok).count();
    let mut spans = Vec::new();
    let _ = text_row::index(payload, 3, &mut spans);
    let _ = execute::ExecuteHead::parse(payload);
    let mut params = execute::ExecuteParams::default();
    let long_data = LongData::default();
    for count in [1, 3, 70] {
        if params.read(payload, count, &long_data).is_ok() {
            for param in 0..count {
                let _ = params.value(param, payload, &long_data);
            }
        }
    }
}

/// The bytes of an answer as they come from a backend, in pieces: where they are cut must not matter.
pub fn results(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let kind = match choice & 7 {
        0 => ResponseKind::Fetch,
        1 => ResponseKind::Prepare,
        2 => ResponseKind::FieldList,
        3 => ResponseKind::Text,
        _ => ResponseKind::Results,
    };
    let deprecate_eof = choice & 8 != 0;
    let whole = scan(kind, deprecate_eof, bytes, bytes.len().max(1));
    let step = usize::from(choice >> 4) + 1;
    let pieces = scan(kind, deprecate_eof, bytes, step);
    assert_eq!(whole, pieces, "cut into pieces of {step}");
}

/// Scans bytes that arrive `step` at a time. `None` for a broken answer, else how many bytes were consumed and whether
/// the answer was complete.
fn scan(kind: ResponseKind, deprecate_eof: bool, bytes: &[u8], step: usize) -> Option<(usize, bool)> {
    let mut scanner = ResultScanner::new(kind, deprecate_eof);
    let (mut buffer, mut consumed, mut fed) = (Vec::new(), 0, 0);
    while !scanner.is_done() {
        let found = scanner.scan(&mut buffer).ok()?;
        assert!(found.consumed <= buffer.len(), "consumed more than there was");
        buffer.drain(..found.consumed);
        consumed += found.consumed;
        match found.stop {
            Stop::NeedMore if fed == bytes.len() => break,
            Stop::NeedMore => {
                let end = bytes.len().min(fed + step);
                buffer.extend_from_slice(&bytes[fed..end]);
                fed = end;
            }
            Stop::Done(_) => break,
            _ => {}
        }
    }
    Some((consumed, scanner.is_done()))
}

/// The text of a statement, through everything that reads statements.
pub fn statements(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let mode = LexMode { ansi_quotes: choice & 1 != 0, no_backslash_escapes: choice & 2 != 0, ..LexMode::default() };
    let mut literals = Vec::new();
    let first = sql::scan(text, mode, &mut literals);
    let ends = literals.iter().flat_map(|literal| [literal.start, literal.end]);
    assert!(ends.clone().all(|end| end as usize <= text.len()), "a literal lies in the text");
    assert!(ends.is_sorted(), "literals are in order");
    let mut again = Vec::new();
    assert_eq!(first.fingerprint, sql::scan(text, mode, &mut again).fingerprint);

    let parts = sql::split::statements(text, mode);
    assert!(parts.iter().all(|part| part.end <= text.len()), "a statement lies in the text");
    let _ = sql::session_statement::parse(text, mode);
    let _ = sql::ddl::parse(text, mode);
    let _ = sql::names::tables(text, mode);
    let _ = sql::parse(text, mode);
}
