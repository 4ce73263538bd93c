//! Column definitions (`page_protocol_com_query_response_text_resultset_column_definition.html`).

use bytes::{BufMut, Bytes};

use super::types::{ColumnFlags, ColumnType};
use super::wire::{Reader, put_lenenc_bytes, put_lenenc_int};
use super::{ProtocolError, Result, charset};

/// Length of the fields of fixed length, which stands in front of them.
const FIXED_LEN: u64 = 0x0C;

/// A column definition that borrows from its packet: parse, replace a name, encode again, without allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnView<'a> {
    /// Always `def`.
    pub catalog: &'a [u8],
    /// Schema.
    pub schema: &'a [u8],
    /// Table, or its alias.
    pub table: &'a [u8],
    /// Table as it is stored.
    pub org_table: &'a [u8],
    /// Column, or its alias.
    pub name: &'a [u8],
    /// Column as it is stored.
    pub org_name: &'a [u8],
    /// Collation id.
    pub charset: u16,
    /// The most bytes that a value takes as text.
    pub length: u32,
    /// Type.
    pub kind: ColumnType,
    /// Flags.
    pub flags: ColumnFlags,
    /// Digits after the point; 31 (0x1f) for floating point without a fixed number of them.
    pub decimals: u8,
    /// COM_FIELD_LIST only: the default value, still length-encoded.
    pub default_value: &'a [u8],
}

/// A column definition of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDef {
    /// Always `def`.
    pub catalog: Bytes,
    /// Schema.
    pub schema: Bytes,
    /// Table, or its alias.
    pub table: Bytes,
    /// Table as it is stored.
    pub org_table: Bytes,
    /// Column, or its alias.
    pub name: Bytes,
    /// Column as it is stored.
    pub org_name: Bytes,
    /// Collation id.
    pub charset: u16,
    /// The most bytes that a value takes as text.
    pub length: u32,
    /// Type.
    pub kind: ColumnType,
    /// Flags.
    pub flags: ColumnFlags,
    /// Digits after the point; 31 (0x1f) for floating point without a fixed number of them.
    pub decimals: u8,
    /// COM_FIELD_LIST only: the default value, still length-encoded.
    pub default_value: Bytes,
}

impl<'a> ColumnView<'a> {
    /// Parses a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "a column definition");
        let catalog = reader.lenenc_bytes()?; // string<lenenc>
        let schema = reader.lenenc_bytes()?; // string<lenenc>
        let table = reader.lenenc_bytes()?; // string<lenenc>
        let org_table = reader.lenenc_bytes()?; // string<lenenc>
        let name = reader.lenenc_bytes()?; // string<lenenc>
        let org_name = reader.lenenc_bytes()?; // string<lenenc>
        if reader.lenenc_int()? != FIXED_LEN {
            return Err(ProtocolError::Malformed { what: "a column definition has a fixed part of another length" });
        }
        let charset = reader.u16()?; // int<2>
        let length = reader.u32()?; // int<4>
        let kind = ColumnType(reader.u8()?); // int<1>
        let flags = ColumnFlags(reader.u16()?); // int<2>
        let decimals = reader.u8()?; // int<1>
        reader.bytes(2)?; // filler
        Ok(Self {
            catalog,
            schema,
            table,
            org_table,
            name,
            org_name,
            charset,
            length,
            kind,
            flags,
            decimals,
            default_value: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        for text in [self.catalog, self.schema, self.table, self.org_table, self.name, self.org_name] {
            put_lenenc_bytes(out, text);
        }
        put_lenenc_int(out, FIXED_LEN);
        out.put_u16_le(self.charset);
        out.put_u32_le(self.length);
        out.put_u8(self.kind.0);
        out.put_u16_le(self.flags.0);
        out.put_u8(self.decimals);
        out.put_slice(&[0, 0]);
        out.put_slice(self.default_value);
    }

    /// A column that no table stores: an expression, or an answer of the proxy's own. Numbers and dates take the
    /// `binary` collation, text the one given.
    pub fn computed(name: &'a [u8], kind: ColumnType, length: u32, text_collation: u16) -> Self {
        let is_text = matches!(kind.0, 15 | 245 | 247..=254);
        Self {
            catalog: b"def",
            schema: b"",
            table: b"",
            org_table: b"",
            name,
            org_name: b"",
            charset: if is_text { text_collation } else { charset::BINARY },
            length,
            kind,
            flags: if is_text { ColumnFlags::default() } else { ColumnFlags::BINARY },
            decimals: if matches!(kind, ColumnType::FLOAT | ColumnType::DOUBLE) || is_text { 31 } else { 0 },
            default_value: b"",
        }
    }

    /// Makes it own its bytes.
    pub fn to_owned(&self) -> ColumnDef {
        ColumnDef {
            catalog: Bytes::copy_from_slice(self.catalog),
            schema: Bytes::copy_from_slice(self.schema),
            table: Bytes::copy_from_slice(self.table),
            org_table: Bytes::copy_from_slice(self.org_table),
            name: Bytes::copy_from_slice(self.name),
            org_name: Bytes::copy_from_slice(self.org_name),
            charset: self.charset,
            length: self.length,
            kind: self.kind,
            flags: self.flags,
            decimals: self.decimals,
            default_value: Bytes::copy_from_slice(self.default_value),
        }
    }
}

impl ColumnDef {
    /// Parses a payload; the names share its memory.
    pub fn parse(payload: &Bytes) -> Result<Self> {
        let view = ColumnView::parse(payload)?;
        Ok(Self {
            catalog: payload.slice_ref(view.catalog),
            schema: payload.slice_ref(view.schema),
            table: payload.slice_ref(view.table),
            org_table: payload.slice_ref(view.org_table),
            name: payload.slice_ref(view.name),
            org_name: payload.slice_ref(view.org_name),
            charset: view.charset,
            length: view.length,
            kind: view.kind,
            flags: view.flags,
            decimals: view.decimals,
            default_value: payload.slice_ref(view.default_value),
        })
    }

    /// A column of an answer of the proxy's own: see [`ColumnView::computed`].
    pub fn computed(name: &str, kind: ColumnType, length: u32, text_collation: u16) -> Self {
        ColumnView::computed(name.as_bytes(), kind, length, text_collation).to_owned()
    }

    /// Borrows it.
    pub fn view(&self) -> ColumnView<'_> {
        ColumnView {
            catalog: &self.catalog,
            schema: &self.schema,
            table: &self.table,
            org_table: &self.org_table,
            name: &self.name,
            org_name: &self.org_name,
            charset: self.charset,
            length: self.length,
            kind: self.kind,
            flags: self.flags,
            decimals: self.decimals,
            default_value: &self.default_value,
        }
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        self.view().put(out);
    }

    /// Whether the type is UNSIGNED.
    pub fn is_unsigned(&self) -> bool {
        self.flags.contains(ColumnFlags::UNSIGNED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MySQL 5.7: `SELECT id AS i FROM test.t AS x`, id INT NOT NULL PRIMARY KEY.
    const REAL: &[u8] = b"\x03def\x04test\x01x\x01t\x01i\x02id\x0c\x3f\x00\x0b\x00\x00\x00\x03\x03\x42\x00\x00\x00";

    #[test]
    fn bytes_of_a_real_column() {
        let view = ColumnView::parse(REAL).unwrap();
        assert_eq!((view.schema, view.table, view.org_table), (&b"test"[..], &b"x"[..], &b"t"[..]));
        assert_eq!((view.name, view.org_name), (&b"i"[..], &b"id"[..]));
        assert_eq!((view.charset, view.length, view.kind), (63, 11, ColumnType::LONG));
        assert!(view.flags.contains(ColumnFlags::NOT_NULL.with(ColumnFlags::PRIMARY_KEY)));
        let mut out = Vec::new();
        view.put(&mut out);
        assert_eq!(out, REAL);
        let owned = ColumnDef::parse(&Bytes::from_static(REAL)).unwrap();
        assert_eq!(owned.view(), view);
        assert_eq!(view.to_owned(), owned);
        for cut in 0..REAL.len() {
            assert!(ColumnView::parse(&REAL[..cut]).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn renaming_changes_only_the_name() {
        let mut out = Vec::new();
        ColumnView { org_table: b"orders", ..ColumnView::parse(REAL).unwrap() }.put(&mut out);
        let renamed = ColumnView::parse(&out).unwrap();
        assert_eq!(renamed, ColumnView { org_table: b"orders", ..ColumnView::parse(REAL).unwrap() });
    }

    #[test]
    fn the_default_value_of_a_field_list_is_kept() {
        let mut payload = REAL.to_vec();
        payload.extend_from_slice(b"\x017");
        let view = ColumnView::parse(&payload).unwrap();
        assert_eq!(view.default_value, b"\x017");
        let mut out = Vec::new();
        view.put(&mut out);
        assert_eq!(out, payload);
    }
}
