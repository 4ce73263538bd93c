//! `mysql://user:password@host:port?socket=/path`.

use crate::config::environment::Environment;
use crate::config::shield::{shield, unshield};

/// The parts of a server's url. The references in them are replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) socket: Option<String>,
}

type Wrong = (String, String);

/// Takes a url apart first and replaces its references then, so that a password from the environment may hold any
/// character. Only what is written here is percent-decoded.
pub(super) fn parse(text: &str, environment: &Environment) -> Result<Url, Wrong> {
    let replaced = text.starts_with("${").then(|| environment.substitute(text, false)).transpose()?;
    let shielded = shield(replaced.as_deref().unwrap_or(text));
    let piece = |piece: &str| -> Result<String, Wrong> {
        let piece = unshield(piece);
        if piece.contains("${") { environment.substitute(&piece, false) } else { decode(&piece) }
    };
    let Some((scheme, rest)) = shielded.split_once("://") else {
        return Err((format!("'{}' is no url", hide(text)), "write mysql://user@host:port".into()));
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
    let mut url = Url { scheme: scheme.to_owned(), ..Url::default() };
    if let Some(login) = login {
        let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
        url.user = Some(piece(user)?).filter(|user| !user.is_empty());
        url.password = password.map(piece).transpose()?;
    }
    let place = match place.split_once('/') {
        Some((place, "")) => place,
        Some((_, path)) => {
            let fix = "remove it: data nodes name the physical schema; a socket is ?socket=/path";
            return Err((format!("the url names '/{}'", unshield(path)), fix.into()));
        }
        None => place,
    };
    let (host, port) = host_and_port(place)?;
    url.host = Some(piece(host)?).filter(|host| !host.is_empty());
    url.port = port.map(|port| parse_port(&piece(port)?)).transpose()?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("socket", path)) => url.socket = Some(piece(path)?),
            _ => {
                let name = unshield(parameter.split('=').next().unwrap_or(parameter));
                let fix = "only socket=/path may stand there; settings are keys of the server, its pool and its tls";
                return Err((format!("the url has a parameter '{name}'"), fix.into()));
            }
        }
    }
    Ok(url)
}

fn host_and_port(place: &str) -> Result<(&str, Option<&str>), Wrong> {
    if let Some(rest) = place.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(("a '[' without ']' in the url".into(), "write [::1]:3306".into()));
        };
        return Ok((host, after.strip_prefix(':')));
    }
    match place.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err(("an IPv6 address without brackets in the url".into(), "write [::1]:3306".into()))
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((place, None)),
    }
}

/// Reads a port.
pub(super) fn parse_port(text: &str) -> Result<u16, Wrong> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| (format!("'{text}' is no port"), "write an integer, 1 to 65535".into()))
}

fn decode(text: &str) -> Result<String, Wrong> {
    let wrong = || ("a '%' in the url without two hexadecimal digits".to_owned(), "write %25 for a plain %".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// A url without its password, for messages.
fn hide(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, place)) => format!("{}:…@{place}", login.split(':').next().unwrap_or("")),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Url, String> {
        let environment = Environment::of(&[("PW", "p@ss:w/rd%41?"), ("HOST", "db1"), ("URL", "mysql://u:p@h:1")]);
        parse(text, &environment).map_err(|(text, _)| text)
    }

    fn shown(text: &str) -> String {
        let url = parsed(text).unwrap();
        let or = |part: &Option<String>| part.clone().unwrap_or("-".into());
        let port = url.port.map_or("-".to_owned(), |port| port.to_string());
        format!("{} {} {} {} {port} {}", url.scheme, or(&url.user), or(&url.password), or(&url.host), or(&url.socket))
    }

    #[test]
    fn parts() {
        assert_eq!(shown("mysql://app@127.0.0.1:3311"), "mysql app - 127.0.0.1 3311 -");
        assert_eq!(shown("mysql://app:a%40b@db/"), "mysql app a@b db - -");
        assert_eq!(shown("mysql://app@[::1]:3306"), "mysql app - ::1 3306 -");
        assert_eq!(shown("mariadb://app@?socket=/run/m.sock"), "mariadb app - - - /run/m.sock");
        assert_eq!(shown("postgres://u:p@h:5432"), "postgres u p h 5432 -");
        assert_eq!(shown("mysql://db"), "mysql - - db - -");
    }

    #[test]
    fn references_may_hold_any_character() {
        assert_eq!(shown("mysql://app:${PW}@${HOST}:${PORT:-3306}"), "mysql app p@ss:w/rd%41? db1 3306 -");
        assert_eq!(shown("${URL}"), "mysql u p h 1 -");
        assert_eq!(shown("${NO:-mysql://a@b:2}"), "mysql a - b 2 -");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(parsed("u:secret@h:3306").unwrap_err().contains("'u:…@h:3306' is no url"));
        assert_eq!(parsed("mysql://h:0").unwrap_err(), "'0' is no port");
        assert_eq!(parsed("mysql://h:x").unwrap_err(), "'x' is no port");
        assert!(parsed("mysql://h/shop").unwrap_err().contains("'/shop'"));
        assert!(parsed("mysql://::1:3306").unwrap_err().contains("IPv6"));
        assert!(parsed("mysql://[::1").unwrap_err().contains("']'"));
        assert!(parsed("mysql://h?ssl=1").unwrap_err().contains("'ssl'"));
        assert!(parsed("mysql://u:a%zz@h").unwrap_err().contains('%'));
        assert!(parsed("mysql://u:${NONE}@h").unwrap_err().contains("NONE"));
    }
}
