//! COM_STMT_EXECUTE (`page_protocol_com_stmt_execute.html`), without query attributes, which the proxy does not offer.

use bytes::BufMut;

use super::command::code;
use super::long_data::LongData;
use super::types::ColumnType;
use super::value::{Value, skip};
use super::wire::{Reader, put_lenenc_bytes};
use super::{ProtocolError, Result};

/// Bit of a parameter type's second byte: UNSIGNED.
const UNSIGNED_BIT: u8 = 0x80;
/// Offset of the NULL bitmap: command, statement id, flags, iteration count.
const BITMAP_AT: usize = 10;

/// Cursor flags of an execution.
pub mod cursor {
    /// No cursor: rows follow at once.
    pub const NONE: u8 = 0;
    /// A read-only cursor: rows come by COM_STMT_FETCH.
    pub const READ_ONLY: u8 = 1;
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ParamType {
    /// Its type byte.
    pub kind: ColumnType,
    /// Whether an integer is unsigned.
    pub unsigned: bool,
}

/// What an execution begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecuteHead {
    /// Statement id.
    pub statement_id: u32,
    /// Cursor flags.
    pub cursor: u8,
}

impl ExecuteHead {
    /// Parses the whole payload's beginning: all that can be read before the statement is known.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "COM_STMT_EXECUTE");
        reader.u8()?; // int<1> command
        let statement_id = reader.u32()?; // int<4>
        let cursor = reader.u8()?; // int<1>
        reader.u32()?; // int<4> iteration count, always 1
        Ok(Self { statement_id, cursor })
    }
}

/// Where the bytes of a parameter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Null,
    Packet { start: usize, end: usize },
    LongData,
}

/// The parameters of a prepared statement: the types, which a client may send only once, and where the values of the
/// execution at hand are. One per statement, used again for each execution.
#[derive(Debug, Clone, Default)]
pub struct ExecuteParams {
    types: Vec<ParamType>,
    places: Vec<Place>,
    types_in_packet: bool,
}

impl ExecuteParams {
    /// Reads the parameters of an execution of a statement with `count` of them. Parameters of which `long_data` has
    /// pieces have no value in the packet.
    pub fn read(&mut self, payload: &[u8], count: usize, long_data: &LongData) -> Result<()> {
        self.places.clear();
        self.types_in_packet = false;
        if count == 0 {
            return Ok(());
        }
        let result = self.read_params(payload, count, long_data);
        // To the client a packet cut short is one with wrong arguments.
        result.map_err(|_| ProtocolError::ExecuteArguments)
    }

    fn read_params(&mut self, payload: &[u8], count: usize, long_data: &LongData) -> Result<()> {
        let mut reader = Reader::new(payload, "COM_STMT_EXECUTE");
        reader.bytes(BITMAP_AT)?;
        let bitmap = reader.bytes(count.div_ceil(8))?;
        self.types_in_packet = reader.u8()? != 0; // int<1> new_params_bind_flag
        if self.types_in_packet {
            self.types.clear();
            for pair in reader.bytes(count * 2)?.chunks_exact(2) {
                self.types.push(ParamType { kind: ColumnType(pair[0]), unsigned: pair[1] & UNSIGNED_BIT != 0 });
            }
        }
        if self.types.len() != count {
            return Err(ProtocolError::ExecuteArguments);
        }
        for (param, param_type) in self.types.iter().enumerate() {
            let place = if long_data.get(param).is_some() {
                Place::LongData
            } else if bitmap[param / 8] & (1 << (param % 8)) != 0 || param_type.kind == ColumnType::NULL {
                Place::Null
            } else {
                let start = payload.len() - reader.remaining().len();
                skip(param_type.kind, &mut reader)?;
                Place::Packet { start, end: payload.len() - reader.remaining().len() }
            };
            self.places.push(place);
        }
        Ok(())
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether the packet can go to another server as it is, but for the statement id: it brings its types, and no
    /// value came apart from it.
    pub fn is_self_contained(&self) -> bool {
        self.places.is_empty() || (self.types_in_packet && !self.places.contains(&Place::LongData))
    }

    /// The type of a parameter.
    pub fn param_type(&self, param: usize) -> ParamType {
        self.types.get(param).copied().unwrap_or_default()
    }

    /// The value of a parameter, decoded.
    pub fn value<'a>(&self, param: usize, payload: &'a [u8], long_data: &'a LongData) -> Result<Value<'a>> {
        match self.param(param, payload, long_data) {
            Param { data: ParamData::Encoded(wire), param_type } => {
                Value::decode(param_type.kind, param_type.unsigned, wire)
            }
            Param { data: ParamData::Bytes(bytes), .. } => Ok(Value::Bytes(bytes)),
            Param { data: ParamData::Null, .. } => Ok(Value::Null),
        }
    }

    /// A parameter as it can be sent on, undecoded.
    pub fn param<'a>(&self, param: usize, payload: &'a [u8], long_data: &'a LongData) -> Param<'a> {
        let data = match self.places.get(param) {
            Some(&Place::Packet { start, end }) => ParamData::Encoded(payload.get(start..end).unwrap_or_default()),
            Some(Place::LongData) => ParamData::Bytes(long_data.get(param).unwrap_or_default()),
            Some(Place::Null) | None => ParamData::Null,
        };
        Param { param_type: self.param_type(param), data }
    }

    /// All parameters in turn, undecoded.
    pub fn iter<'a>(&'a self, payload: &'a [u8], long_data: &'a LongData) -> impl Iterator<Item = Param<'a>> + Clone {
        (0..self.len()).map(move |param| self.param(param, payload, long_data))
    }

    /// Forgets types and values, as when a statement is prepared again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A parameter to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its type.
    pub param_type: ParamType,
    /// Its value.
    pub data: ParamData<'a>,
}

/// The value of a parameter to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamData<'a> {
    /// NULL.
    Null,
    /// The bytes of a packet, in the layout of the type.
    Encoded(&'a [u8]),
    /// A string or BLOB without a length in front.
    Bytes(&'a [u8]),
}

impl<'a> Param<'a> {
    /// An integer encoded by the caller: `value.to_le_bytes()`.
    pub fn int64(encoded: &'a [u8; 8]) -> Self {
        let param_type = ParamType { kind: ColumnType::LONGLONG, unsigned: false };
        Self { param_type, data: ParamData::Encoded(encoded) }
    }

    /// NULL.
    pub fn null() -> Self {
        Self { param_type: ParamType { kind: ColumnType::NULL, unsigned: false }, data: ParamData::Null }
    }

    /// Text in the connection's character set.
    pub fn text(text: &'a [u8]) -> Self {
        Self { param_type: ParamType { kind: ColumnType::VAR_STRING, unsigned: false }, data: ParamData::Bytes(text) }
    }

    /// The type that goes with the value: of long data only string types make sense to a server, so any other becomes
    /// a BLOB.
    fn sent_type(&self) -> ParamType {
        let is_string = matches!(self.param_type.kind.0, 15 | 245..=255 | 0);
        match self.data {
            ParamData::Bytes(_) if !is_string => ParamType { kind: ColumnType::LONG_BLOB, unsigned: false },
            _ => self.param_type,
        }
    }
}

/// Appends a COM_STMT_EXECUTE with its types. `params` is walked three times: bitmap, types, values.
pub fn put_execute<'a>(
    statement_id: u32,
    cursor: u8,
    params: impl Iterator<Item = Param<'a>> + Clone,
    out: &mut impl BufMut,
) {
    put_head(statement_id, cursor, out);
    let mut bits = 0;
    let mut count = 0usize;
    for param in params.clone() {
        bits |= u8::from(param.data == ParamData::Null) << (count % 8);
        count += 1;
        if count.is_multiple_of(8) {
            out.put_u8(std::mem::take(&mut bits));
        }
    }
    if count == 0 {
        return;
    }
    if !count.is_multiple_of(8) {
        out.put_u8(bits);
    }
    out.put_u8(1);
    for param in params.clone() {
        let ParamType { kind, unsigned } = param.sent_type();
        out.put_slice(&[kind.0, if unsigned { UNSIGNED_BIT } else { 0 }]);
    }
    for param in params {
        match param.data {
            ParamData::Null => {}
            ParamData::Encoded(wire) => out.put_slice(wire),
            ParamData::Bytes(bytes) => put_lenenc_bytes(out, bytes),
        }
    }
}

fn put_head(statement_id: u32, cursor: u8, out: &mut impl BufMut) {
    out.put_u8(code::STMT_EXECUTE);
    out.put_u32_le(statement_id);
    out.put_u8(cursor);
    out.put_u32_le(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the manual: statement 1, no cursor, one VAR_STRING "foo".
    const REAL: &[u8] = b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfd\0\x03foo";

    #[test]
    fn bytes_of_the_manual() {
        assert_eq!(ExecuteHead::parse(REAL), Ok(ExecuteHead { statement_id: 1, cursor: 0 }));
        let (mut params, none) = (ExecuteParams::default(), LongData::default());
        params.read(REAL, 1, &none).unwrap();
        assert_eq!(params.value(0, REAL, &none), Ok(Value::Bytes(b"foo")));
        assert!(params.is_self_contained());
        let mut out = Vec::new();
        put_execute(1, 0, params.iter(REAL, &none), &mut out);
        assert_eq!(out, REAL);
        for cut in 0..REAL.len() {
            assert!(params.read(&REAL[..cut], 1, &none).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn types_are_remembered_and_sent_on() {
        let first = b"\x17\x01\0\0\0\0\x01\0\0\0\x02\x01\x08\x80\x03\0\xff\xff\xff\xff\xff\xff\xff\xff";
        let again = b"\x17\x01\0\0\0\0\x01\0\0\0\x01\0\x05\0\0\0";
        let (mut params, none) = (ExecuteParams::default(), LongData::default());
        assert_eq!(params.read(again, 2, &none), Err(ProtocolError::ExecuteArguments), "no types yet");
        params.read(first, 2, &none).unwrap();
        assert_eq!(params.value(0, first, &none), Ok(Value::UInt(u64::MAX)));
        assert_eq!(params.value(1, first, &none), Ok(Value::Null));
        params.read(again, 2, &none).unwrap();
        assert_eq!(params.value(0, again, &none), Ok(Value::Null));
        assert_eq!(params.value(1, again, &none), Ok(Value::Int(5)));
        assert!(!params.is_self_contained());
        let mut out = Vec::new();
        put_execute(9, cursor::READ_ONLY, params.iter(again, &none), &mut out);
        assert_eq!(out, b"\x17\x09\0\0\0\x01\x01\0\0\0\x01\x01\x08\x80\x03\0\x05\0\0\0");
    }

    #[test]
    fn long_data_stands_in_for_the_value() {
        // Two parameters: a BLOB whose value was sent apart, and TINY 7.
        let payload = b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfc\0\x01\0\x07";
        let mut long_data = LongData::default();
        long_data.append(0, b"pieces", 100);
        let mut params = ExecuteParams::default();
        params.read(payload, 2, &long_data).unwrap();
        assert_eq!(params.value(0, payload, &long_data), Ok(Value::Bytes(b"pieces")));
        assert_eq!(params.value(1, payload, &long_data), Ok(Value::Int(7)));
        assert!(!params.is_self_contained());
        let mut out = Vec::new();
        put_execute(1, 0, params.iter(payload, &long_data), &mut out);
        assert_eq!(out, b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfc\0\x01\0\x06pieces\x07");
    }

    #[test]
    fn without_parameters_nothing_follows_the_head() {
        let mut out = Vec::new();
        put_execute(1, 0, std::iter::empty(), &mut out);
        assert_eq!(out, b"\x17\x01\0\0\0\0\x01\0\0\0");
        let mut params = ExecuteParams::default();
        params.read(&out, 0, &LongData::default()).unwrap();
        assert!(params.is_empty() && params.is_self_contained());
    }

    #[test]
    fn the_bitmap_of_many_parameters() {
        for count in [7, 8, 9, 16, 17] {
            let one = 1i64.to_le_bytes();
            let mut out = Vec::new();
            let sent = (0..count).map(|i| if i % 3 == 0 { Param::null() } else { Param::int64(&one) });
            put_execute(1, 0, sent, &mut out);
            let (mut params, none) = (ExecuteParams::default(), LongData::default());
            params.read(&out, count, &none).unwrap();
            for i in 0..count {
                let expected = if i % 3 == 0 { Value::Null } else { Value::Int(1) };
                assert_eq!(params.value(i, &out, &none), Ok(expected), "parameter {i} of {count}");
            }
        }
    }
}
