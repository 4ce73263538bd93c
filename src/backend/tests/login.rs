//! Logging in: methods, transports, refusals.

use std::time::Duration;

use super::server::{TestServer, shared, tls};
use crate::backend::{BackendError, ConnectFailure, Flavour, Pool, Server, ServerSpec, text};
use crate::config::{Address, Secret, ServerTls, TlsMode};
use crate::error::Report;

async fn one_query(spec: ServerSpec, flavour: Flavour, sql: &str) -> Result<String, BackendError> {
    let pool = Pool::new(Server::new(spec));
    let mut lease = pool.checkout(flavour).await?;
    let answer = lease.query(sql).await?;
    Ok(text(&answer.rows[0], 0).into_owned())
}

/// Makes a user; returns the description of the server with that user.
async fn with_user(server: &TestServer, name: &str, identified: &str, password: &str) -> ServerSpec {
    let pool = server.pool();
    let mut lease = pool.checkout(Flavour::OWN).await.unwrap();
    lease.query(&format!("DROP USER IF EXISTS {name}")).await.unwrap();
    lease.query(&format!("CREATE USER {name} {identified}")).await.unwrap();
    let mut spec = server.spec();
    spec.user = name.into();
    spec.password = Secret::new(password);
    spec
}

#[tokio::test]
async fn every_flavour_logs_in_and_reads_an_answer() {
    for index in 0..Flavour::COUNT {
        let got = one_query(shared().spec(), Flavour::from_index(index), "SELECT 'x'").await.unwrap();
        assert_eq!(got, "x");
    }
}

#[tokio::test]
async fn passwords_with_the_servers_default_method() {
    let spec = with_user(shared(), "ann", "IDENTIFIED BY 's3cret'", "s3cret").await;
    assert_eq!(one_query(spec, Flavour::OWN, "SELECT SUBSTRING_INDEX(USER(),'@',1)").await.unwrap(), "ann");
}

#[tokio::test]
async fn a_user_of_another_method_than_the_servers_default_is_switched_to() {
    // On MySQL 9 there is no other method that is spoken here.
    if !shared().is_mariadb {
        return;
    }
    let server = TestServer::start(&["--default-authentication-plugin=mysql_native_password".to_owned()]);
    let how = "IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('pw')";
    let spec = with_user(&server, "cat", how, "pw").await;
    assert_eq!(one_query(spec, Flavour::OWN, "SELECT SUBSTRING_INDEX(USER(),'@',1)").await.unwrap(), "cat");
}

#[tokio::test]
async fn caching_sha2_over_plain_tcp_and_tls_full_and_fast() {
    if shared().is_mariadb {
        return;
    }
    for mode in [tls(TlsMode::Off, None), tls(TlsMode::Required, None)] {
        let mut spec =
            with_user(shared(), "dora", "IDENTIFIED WITH caching_sha2_password BY 'pw of dora'", "pw of dora").await;
        spec.tls = mode;
        // The first login of a new user takes the full path; from then on the server has the hash in its cache.
        for _ in 0..2 {
            let got = one_query(spec.clone(), Flavour::OWN, "SELECT SUBSTRING_INDEX(USER(),'@',1)").await.unwrap();
            assert_eq!(got, "dora");
        }
    }
}

#[tokio::test]
async fn over_a_unix_socket() {
    let Some(socket) = &shared().socket else { return };
    let mut spec = shared().spec();
    spec.address = Address::Unix(socket.clone());
    spec.tls = tls(TlsMode::Required, None); // of no matter: nobody can listen to a Unix socket
    assert_eq!(one_query(spec, Flavour::OWN, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_naming_user_or_address() {
    let mut spec = with_user(shared(), "bob", "IDENTIFIED BY 'right'", "right").await;
    spec.password = Secret::new("wrong");
    let error = one_query(spec, Flavour::OWN, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, BackendError::Connect { reason: ConnectFailure::Refused(1045), .. }), "{error:?}");
    assert_eq!(error.kind(), "backend_auth");
    let shown = error.to_string();
    assert!(!shown.contains("bob") && !shown.contains("127.0.0.1") && shown.contains("g0/primary"), "{shown}");
}

#[tokio::test]
async fn nobody_listens_and_nobody_answers() {
    let mut spec = shared().spec();
    spec.address = Address::Tcp { host: "127.0.0.1".into(), port: 1 };
    let error = one_query(spec.clone(), Flavour::OWN, "SELECT 1").await.unwrap_err();
    assert_eq!(error.to_string(), "Unable to connect to backend g0/primary: connection refused");
    assert_eq!((error.errno(), error.retryable()), (1429, true));

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    spec.address = Address::Tcp { host: "127.0.0.1".into(), port: silent.local_addr().unwrap().port() };
    spec.limits.connect_timeout = Duration::from_millis(50);
    let error = one_query(spec, Flavour::OWN, "SELECT 1").await.unwrap_err();
    assert_eq!(error.to_string(), "Unable to connect to backend g0/primary: no answer within 50 ms");
}

/// A CA, and a server certificate signed by it for a name that nobody asks for.
fn certificates(dir: &std::path::Path) -> Vec<String> {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["db.internal".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    for (name, pem) in [("ca.pem", ca.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())] {
        std::fs::write(dir.join(name), pem).unwrap();
    }
    let file = |name| dir.join(name).display().to_string();
    vec![format!("--ssl-cert={}", file("cert.pem")), format!("--ssl-key={}", file("key.pem"))]
}

#[tokio::test]
async fn tls_modes() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(&certificates(dir.path()));
    let cipher = async |mode: ServerTls| {
        let mut spec = server.spec();
        spec.tls = mode;
        one_query(
            spec,
            Flavour::OWN,
            "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME='Ssl_cipher'",
        )
        .await
    };
    assert_eq!(cipher(tls(TlsMode::Off, None)).await.unwrap(), "");
    assert_ne!(cipher(tls(TlsMode::Preferred, None)).await.unwrap(), "");
    assert_ne!(cipher(tls(TlsMode::Required, None)).await.unwrap(), "");
    assert_ne!(cipher(tls(TlsMode::VerifyCa, Some(dir.path().join("ca.pem")))).await.unwrap(), "");

    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    let error = cipher(tls(TlsMode::VerifyCa, Some(other.path().join("ca.pem")))).await.unwrap_err();
    assert!(matches!(error, BackendError::Connect { reason: ConnectFailure::Tls(_), .. }), "{error:?}");
    let error = cipher(tls(TlsMode::VerifyCa, Some(other.path().join("none.pem")))).await.unwrap_err();
    assert!(matches!(error, BackendError::Connect { reason: ConnectFailure::Tls(_), .. }), "{error:?}");
}

#[tokio::test]
async fn tls_that_is_required_is_not_done_without() {
    if !shared().is_mariadb {
        return;
    }
    let mut spec = shared().spec();
    spec.tls = tls(TlsMode::Required, None);
    let error = one_query(spec, Flavour::OWN, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, BackendError::Connect { reason: ConnectFailure::NoTls, .. }), "{error:?}");
}
