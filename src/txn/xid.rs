//! The names of transactions over several groups, as the servers know them.
//!
//! An XA identifier has two parts of up to 64 bytes and a number (*XA Transaction SQL Statements*). The first part,
//! *gtrid*, names the transaction: `shardloom.<proxy instance>.<begun>.<number>`. The second, *bqual*, names the branch:
//! `<tag of the anchor's group>.<number of the branch>`. All are hexadecimal, so that nothing needs quoting. Whoever finds a
//! prepared branch knows from its name alone where its fate is decided.

use std::fmt;

/// The format number of all our identifiers: `SHLM`.
pub const FORMAT_ID: u32 = 0x5348_4C4D;
const PREFIX: &str = "shardloom";

/// The name of a transaction over several groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gtrid {
    /// The proxy process that runs it: a random number drawn at its start.
    pub instance: u64,
    /// When its second group joined, in milliseconds since 1970 by that proxy's clock.
    pub begun_unix_ms: u64,
    /// Counts the transactions of that proxy.
    pub number: u64,
}

impl fmt::Display for Gtrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{:016x}.{:x}.{:x}", self.instance, self.begun_unix_ms, self.number)
    }
}

impl Gtrid {
    /// What the names of a proxy process's transactions begin with.
    pub fn prefix_of(instance: u64) -> String {
        format!("{PREFIX}.{instance:016x}.")
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (prefix, instance) = (parts.next()?, parts.next()?);
        let (begun, number) = (parts.next()?, parts.next()?);
        if prefix != PREFIX || parts.next().is_some() {
            return None;
        }
        let read = Self { instance: hex(instance)?, begun_unix_ms: hex(begun)?, number: hex(number)? };
        // One spelling for each, since the servers compare bytes.
        (read.to_string() == text).then_some(read)
    }
}

/// What tells a group apart from all others, for ever: made of its name in the rules and of the number that its
/// `shardloom` schema was born with. So neither a copy of a server under another name nor another cluster's group of the
/// same name is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupTag(pub u64);

impl GroupTag {
    /// The tag of a group by its name and the number of its schema.
    pub fn new(name: &str, identity: u64) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), identity))
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        hex(text).map(Self)
    }
}

impl fmt::Display for GroupTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The name of one branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xid {
    /// Its transaction.
    pub gtrid: Gtrid,
    /// The group whose commit decides.
    pub anchor: GroupTag,
    /// Counts the branches of the transaction: two groups may be on one server.
    pub branch: u16,
}

impl fmt::Display for Xid {
    /// As the XA statements take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}','{}.{:x}',{FORMAT_ID}", self.gtrid, self.anchor, self.branch)
    }
}

impl Xid {
    /// Reads a row of `XA RECOVER`: format number, lengths of gtrid and bqual, and both together. `None` for a branch
    /// that is not ours.
    pub fn of_recovered(format_id: &str, gtrid_len: &str, data: &str) -> Option<Self> {
        if format_id.parse() != Ok(FORMAT_ID) {
            return None;
        }
        let (gtrid, bqual) = data.split_at_checked(gtrid_len.parse().ok()?)?;
        let (anchor, branch) = bqual.split_once('.')?;
        let branch = u16::from_str_radix(branch, 16).ok()?;
        Some(Self { gtrid: Gtrid::parse(gtrid)?, anchor: GroupTag(hex(anchor)?), branch })
    }
}

fn hex(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: Xid = Xid {
        gtrid: Gtrid { instance: u64::MAX, begun_unix_ms: u64::MAX, number: u64::MAX },
        anchor: GroupTag(u64::MAX),
        branch: u16::MAX,
    };

    fn recovered(xid: &Xid) -> (String, String) {
        let text = xid.to_string();
        let parts: Vec<&str> = text.split(['\'', ',']).filter(|part| !part.is_empty()).collect();
        (parts[0].len().to_string(), parts[..2].concat())
    }

    #[test]
    fn names_are_read_back_and_fit_the_servers() {
        let small = Xid {
            gtrid: Gtrid { instance: 1, begun_unix_ms: 1_700_000_000_000, number: 0 },
            anchor: GroupTag(7),
            branch: 1,
        };
        assert_eq!(small.to_string(), "'shardloom.0000000000000001.18bcfe56800.0','0000000000000007.1',1397247053");
        for xid in [small, LARGEST] {
            let (gtrid_len, data) = recovered(&xid);
            assert_eq!(Xid::of_recovered("1397247053", &gtrid_len, &data), Some(xid));
            let gtrid_len: usize = gtrid_len.parse().unwrap();
            assert!(gtrid_len <= 64 && data.len() - gtrid_len <= 64, "{data}");
        }
    }

    #[test]
    fn branches_of_others_are_not_ours() {
        let (gtrid_len, data) = recovered(&LARGEST);
        assert_eq!(Xid::of_recovered("1", &gtrid_len, &data), None);
        for (len, data) in [("4", "mine"), ("99", "short"), ("", ""), ("12", "shardloom.1.x.1")] {
            assert_eq!(Xid::of_recovered("1397247053", len, data), None, "{data}");
        }
        for text in ["shardloom.1.2.3", "shardloom.0000000000000001.+2.3", "other.0000000000000001.2.3"] {
            assert_eq!(Gtrid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tags_depend_on_name_and_number() {
        let tag = GroupTag::new("g0", 1);
        assert_ne!(tag, GroupTag::new("g1", 1));
        assert_ne!(tag, GroupTag::new("g0", 2));
        // They stand in tables: no release may change them.
        assert_eq!(tag.to_string(), GroupTag(tag.0).to_string());
    }
}
