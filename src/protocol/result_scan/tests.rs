use super::*;
use crate::protocol::frame::FrameHeader;
use crate::protocol::{Capabilities, ColumnDef, ColumnType, EofPacket, ErrPacket, OkPacket};

/// Frames of an answer, built packet by packet.
#[derive(Default, Clone)]
struct Answer {
    bytes: Vec<u8>,
    seq: u8,
}

impl Answer {
    fn new() -> Self {
        Self { bytes: Vec::new(), seq: 1 }
    }

    fn packet(mut self, payload: &[u8]) -> Self {
        let mut rest = payload;
        loop {
            let (part, next) = rest.split_at(rest.len().min(MAX_WIRE_PAYLOAD));
            self.bytes.extend_from_slice(&FrameHeader { payload_len: part.len(), seq: self.seq }.to_bytes());
            self.bytes.extend_from_slice(part);
            self.seq = self.seq.wrapping_add(1);
            rest = next;
            if part.len() < MAX_WIRE_PAYLOAD {
                return self;
            }
        }
    }

    fn columns(mut self, count: u8) -> Self {
        self = self.packet(&[count]);
        for i in 0..count {
            self = self.column(i);
        }
        self
    }

    fn column(self, i: u8) -> Self {
        let mut payload = Vec::new();
        ColumnDef::computed(&format!("c{i}"), ColumnType::LONG, 11, 45).put(&mut payload);
        self.packet(&payload)
    }

    fn eof(self, status: StatusFlags) -> Self {
        let mut payload = Vec::new();
        EofPacket { warnings: 1, status }.put(&mut payload);
        self.packet(&payload)
    }

    fn ok(self, status: StatusFlags) -> Self {
        let mut payload = Vec::new();
        OkPacket { affected_rows: 300, last_insert_id: 7, status, warnings: 2, info: b"x", ..Default::default() }
            .put(Capabilities::SESSION_TRACK, &mut payload);
        self.packet(&payload)
    }

    fn ok_as_eof(self, status: StatusFlags) -> Self {
        let mut payload = Vec::new();
        OkPacket { status, warnings: 2, ..Default::default() }.put_as_eof(Capabilities::SESSION_TRACK, &mut payload);
        self.packet(&payload)
    }

    fn err(self) -> Self {
        let mut payload = Vec::new();
        ErrPacket { errno: 1317, sqlstate: *b"70100", message: b"Query execution was interrupted" }.put(&mut payload);
        self.packet(&payload)
    }
}

const AUTOCOMMIT: StatusFlags = StatusFlags::AUTOCOMMIT;
const MORE: StatusFlags = StatusFlags::AUTOCOMMIT.with(StatusFlags::MORE_RESULTS_EXISTS);
const CURSOR: StatusFlags = StatusFlags::AUTOCOMMIT.with(StatusFlags::CURSOR_EXISTS);

/// Scans in pieces of `step` bytes, as a socket would give them; returns what was relayed and the scanner.
fn relay(mut scanner: ResultScanner, answer: &[u8], step: usize) -> (Vec<u8>, ResultScanner) {
    let (mut buffer, mut relayed) = (Vec::new(), Vec::new());
    let mut incoming = answer.chunks(step);
    loop {
        let scan = scanner.scan(&mut buffer).unwrap();
        relayed.extend(buffer.drain(..scan.consumed));
        match scan.stop {
            Stop::NeedMore => match incoming.next() {
                Some(more) => buffer.extend_from_slice(more),
                None => panic!("the answer has ended and the scanner wants more; {} bytes are left", buffer.len()),
            },
            Stop::Done(_) => break,
            _ => {}
        }
    }
    assert!(scanner.is_done());
    assert!(buffer.is_empty() && incoming.next().is_none(), "done before the end of the answer");
    (relayed, scanner)
}

/// An answer that is complete must be found complete at its last byte, whatever the pieces it comes in, and no sooner.
fn check(kind: ResponseKind, deprecate_eof: bool, answer: &Answer) -> ResultScanner {
    let bytes = &answer.bytes;
    for step in 1..=bytes.len().min(40) {
        let (relayed, scanner) = relay(ResultScanner::new(kind, deprecate_eof), bytes, step);
        assert!(relayed == *bytes, "bytes changed on the way, step {step}");
        assert_eq!(scanner.last_seq(), answer.seq.wrapping_sub(1));
    }
    for cut in 0..bytes.len() {
        let mut part = bytes[..cut].to_vec();
        let mut scanner = ResultScanner::new(kind, deprecate_eof);
        let mut from = 0;
        loop {
            let scan = scanner.scan(&mut part[from..]).unwrap();
            from += scan.consumed;
            match scan.stop {
                Stop::NeedMore => break,
                Stop::Done(_) => panic!("done after {cut} of {} bytes", bytes.len()),
                _ => {}
            }
        }
    }
    relay(ResultScanner::new(kind, deprecate_eof), bytes, bytes.len()).1
}

#[test]
fn ok_and_err() {
    let scanner = check(ResponseKind::Results, true, &Answer::new().ok(AUTOCOMMIT));
    let outcome = *scanner.outcome();
    assert_eq!((outcome.affected_rows, outcome.last_insert_id, outcome.warnings), (300, 7, 2));
    assert_eq!((outcome.status, outcome.errno, outcome.had_columns), (AUTOCOMMIT, None, false));
    let scanner = check(ResponseKind::Results, false, &Answer::new().err());
    assert_eq!(scanner.outcome().errno, Some(1317));
}

#[test]
fn rows_with_and_without_eof_packets() {
    let old = Answer::new().columns(2).eof(AUTOCOMMIT).packet(b"\x011\x012").packet(b"\xfb\x00").eof(AUTOCOMMIT);
    let scanner = check(ResponseKind::Results, false, &old);
    assert_eq!((scanner.rows(), scanner.outcome().warnings, scanner.outcome().had_columns), (2, 1, true));
    let new = Answer::new().columns(2).packet(b"\x011\x012").packet(b"\x00\x00").ok_as_eof(AUTOCOMMIT);
    let scanner = check(ResponseKind::Results, true, &new);
    assert_eq!((scanner.rows(), scanner.outcome().warnings), (2, 2));
    // An EOF in the short form is understood of a server that deprecates EOF, too.
    check(ResponseKind::Results, true, &Answer::new().columns(1).eof(AUTOCOMMIT));
}

#[test]
fn an_error_may_come_among_the_rows() {
    let answer = Answer::new().columns(1).packet(b"\x011").err();
    let scanner = check(ResponseKind::Results, true, &answer);
    assert_eq!((scanner.outcome().errno, scanner.rows()), (Some(1317), 1));
}

#[test]
fn results_follow_results() {
    let answer =
        Answer::new().columns(1).eof(MORE).packet(b"\x011").eof(MORE).ok(MORE).columns(1).eof(AUTOCOMMIT).err();
    check(ResponseKind::Results, false, &answer);
    let answer = Answer::new().ok(MORE).columns(1).ok_as_eof(MORE).ok(AUTOCOMMIT);
    let scanner = check(ResponseKind::Results, true, &answer);
    assert_eq!(scanner.outcome().affected_rows, 300);
    let mut bytes = answer.bytes;
    let mut scanner =
        ResultScanner::new(ResponseKind::Results, true).watching(Watch { results: true, ..Default::default() });
    let mut ends = 0;
    let mut from = 0;
    loop {
        let scan = scanner.scan(&mut bytes[from..]).unwrap();
        from += scan.consumed;
        match scan.stop {
            Stop::ResultEnd(_) => ends += 1,
            Stop::Done(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends, 2);
}

#[test]
fn a_cursor_has_no_rows() {
    check(ResponseKind::Results, false, &Answer::new().columns(1).eof(CURSOR));
    let scanner = check(ResponseKind::Results, true, &Answer::new().columns(1).ok_as_eof(CURSOR));
    assert!(scanner.outcome().status.contains(StatusFlags::CURSOR_EXISTS));
    let last = CURSOR.with(StatusFlags::LAST_ROW_SENT);
    let scanner = check(ResponseKind::Fetch, false, &Answer::new().packet(b"\x00\x00\x01").eof(last));
    assert!(scanner.outcome().status.contains(StatusFlags::LAST_ROW_SENT));
    check(ResponseKind::Fetch, true, &Answer::new().packet(b"\x00\x00\x01").ok_as_eof(last));
    check(ResponseKind::Fetch, true, &Answer::new().err());
}

#[test]
fn a_file_is_asked_for() {
    let mut scanner = ResultScanner::new(ResponseKind::Results, true);
    let mut request = Answer::new().packet(b"\xfb/tmp/x").bytes;
    let scan = scanner.scan(&mut request).unwrap();
    assert_eq!(scan, Scan { consumed: 11, stop: Stop::LocalInfile(0..11) });
    let mut answer = Answer::new().ok(AUTOCOMMIT).bytes;
    assert!(matches!(scanner.scan(&mut answer).unwrap().stop, Stop::Done(_)));
    assert_eq!(scanner.outcome().affected_rows, 300);
}

#[test]
fn prepare_with_all_mixtures_of_parameters_and_columns() {
    for (params, columns) in [(0, 0), (1, 0), (0, 1), (3, 2)] {
        for deprecate_eof in [false, true] {
            let mut payload = Vec::new();
            PrepareOk { statement_id: 5, columns, params, warnings: 1 }.put(&mut payload);
            let mut answer = Answer::new().packet(&payload);
            for count in [params, columns] {
                for i in 0..count {
                    answer = answer.column(i as u8);
                }
                if count > 0 && !deprecate_eof {
                    answer = answer.eof(AUTOCOMMIT);
                }
            }
            if (params, columns) == (0, 0) {
                // Done with the first packet, but that is pointed out before.
                let mut scanner = ResultScanner::new(ResponseKind::Prepare, deprecate_eof);
                let scan = scanner.scan(&mut answer.bytes).unwrap();
                assert!(matches!(scan.stop, Stop::PrepareOk(_, ok) if ok.statement_id == 5));
                assert_eq!(scanner.scan(&mut []).unwrap().stop, Stop::Done(0..0));
            } else {
                relay(ResultScanner::new(ResponseKind::Prepare, deprecate_eof), &answer.bytes, 7);
                relay(ResultScanner::new(ResponseKind::Prepare, deprecate_eof), &answer.bytes, 1);
            }
        }
    }
    let scanner = check(ResponseKind::Prepare, true, &Answer::new().err());
    assert_eq!(scanner.outcome().errno, Some(1317));
}

#[test]
fn field_list_and_statistics() {
    check(ResponseKind::FieldList, false, &Answer::new().column(0).column(1).eof(AUTOCOMMIT));
    check(ResponseKind::FieldList, true, &Answer::new().column(0).ok_as_eof(AUTOCOMMIT));
    check(ResponseKind::FieldList, true, &Answer::new().err());
    check(ResponseKind::Text, true, &Answer::new().packet(b"Uptime: 1"));
    check(ResponseKind::Results, false, &Answer::new().eof(AUTOCOMMIT));
}

#[test]
fn column_definitions_are_pointed_out() {
    let mut bytes = Answer::new().columns(2).packet(b"\x011\x012").ok_as_eof(AUTOCOMMIT).bytes;
    let mut scanner =
        ResultScanner::new(ResponseKind::Results, true).watching(Watch { columns: true, ..Default::default() });
    let (mut from, mut names) = (0, Vec::new());
    loop {
        let scan = scanner.scan(&mut bytes[from..]).unwrap();
        match scan.stop {
            Stop::Column(range) => {
                let payload = &bytes[from..][range][HEADER_LEN..];
                names.push(crate::protocol::ColumnView::parse(payload).unwrap().name.to_vec());
            }
            Stop::Done(range) => {
                assert_eq!(range.end, scan.consumed);
                break;
            }
            other => panic!("{other:?}"),
        }
        from += scan.consumed;
    }
    assert_eq!(names, [b"c0", b"c1"]);
}

#[test]
fn sequence_ids_and_status_flags_are_rewritten_in_place() {
    let rewrite = Rewrite {
        seq_add: 250,
        status_set: StatusFlags::MORE_RESULTS_EXISTS,
        status_clear: StatusFlags::AUTOCOMMIT.with(StatusFlags::IN_TRANSACTION),
    };
    let status = AUTOCOMMIT.with(StatusFlags::IN_TRANSACTION).with(StatusFlags::NO_INDEX_USED);
    let answer = Answer::new().columns(1).packet(b"\x011").packet(b"\x012").ok_as_eof(status);
    for step in [1, 3, 1000] {
        let scanner = ResultScanner::new(ResponseKind::Results, true).rewriting(rewrite);
        let (relayed, scanner) = relay(scanner, &answer.bytes, step);
        assert_eq!(scanner.outcome().status, status, "the outcome is the server's own");
        let mut at = 0;
        let mut seq = 251u8;
        let mut last = &relayed[..];
        while let Some(header) = FrameHeader::read(&relayed[at..]) {
            assert_eq!(header.seq, seq);
            seq = seq.wrapping_add(1);
            last = &relayed[at + HEADER_LEN..];
            at += HEADER_LEN + header.payload_len;
        }
        assert_eq!(scanner.last_seq(), seq.wrapping_sub(1));
        let ok = OkPacket::parse(last, Capabilities::SESSION_TRACK).unwrap();
        assert_eq!(ok.status, StatusFlags::MORE_RESULTS_EXISTS.with(StatusFlags::NO_INDEX_USED));
    }
}

#[test]
fn rows_of_16_mib_and_more_pass_in_pieces() {
    for len in [MAX_WIRE_PAYLOAD - 1, MAX_WIRE_PAYLOAD, MAX_WIRE_PAYLOAD + 1, 2 * MAX_WIRE_PAYLOAD] {
        // A cell of more than 16 MiB begins with 0xFE, as do its continuations here, and those look like EOFs.
        let row = vec![0xFE; len];
        let answer = Answer::new().columns(1).packet(&row).packet(b"\x011").ok_as_eof(AUTOCOMMIT);
        if len >= MAX_WIRE_PAYLOAD {
            for step in [10_007, answer.bytes.len()] {
                let (relayed, scanner) = relay(ResultScanner::new(ResponseKind::Results, true), &answer.bytes, step);
                assert!(relayed == answer.bytes);
                assert_eq!(scanner.rows(), 2, "one row over {len} bytes is one row");
                assert_eq!(scanner.last_seq(), answer.seq.wrapping_sub(1));
            }
        }
        let answer = Answer::new().columns(1).eof(AUTOCOMMIT).packet(&row).eof(AUTOCOMMIT);
        let (_, scanner) = relay(ResultScanner::new(ResponseKind::Results, false), &answer.bytes, 1 << 20);
        assert_eq!(scanner.rows(), 1);
    }
}

#[test]
fn nonsense_is_an_error() {
    for payload in [&b""[..], b"\xfc\x01", b"\xfe", b"\xfe\x01\x02", b"\x00\x01", b"\xff\x01"] {
        let mut bytes = Answer::new().packet(payload).bytes;
        assert!(ResultScanner::new(ResponseKind::Results, true).scan(&mut bytes).is_err(), "{payload:?}");
    }
    let mut bytes = FrameHeader { payload_len: MAX_INSPECTED_BYTES + 1, seq: 1 }.to_bytes().to_vec();
    bytes.push(0);
    assert!(ResultScanner::new(ResponseKind::Results, true).scan(&mut bytes).is_err());
}
