//! The paths of the admin port.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Status;
use super::listener::{BoundedListener, MAX_CONNECTIONS};
use crate::observe::{Digests, Metrics};

/// How many digests `/digests` shows.
const SHOWN_DIGESTS: usize = 100;
/// The type of the text that `/metrics` gives (*OpenMetrics 1.0*).
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin port shows.
pub struct Admin {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The digest statistics.
    pub digests: Arc<Digests>,
    /// The proxy.
    pub status: Arc<dyn Status>,
}

/// Serves the admin port until `shutdown` resolves. It should resolve after the drain, so that `/readyz` tells of it.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = BoundedListener::new(listener, MAX_CONNECTIONS);
    axum::serve(listener, router(admin)).with_graceful_shutdown(shutdown).await
}

/// The paths.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/rules", get(rules))
        .route("/digests", get(digests))
        .with_state(Arc::new(admin))
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let readiness = admin.status.readiness();
    let obstacles = readiness.obstacles();
    let code = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": obstacles.is_empty(),
        "obstacles": obstacles,
        "draining": readiness.draining,
        "rules_loaded": readiness.rules_loaded,
        "groups": readiness.groups,
    });
    (code, as_json(&body)).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    match admin.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn rules(State(admin): State<Arc<Admin>>) -> Response {
    as_json(&json!(admin.status.rules())).into_response()
}

async fn digests(State(admin): State<Arc<Admin>>) -> Response {
    let rows: Vec<Value> = admin
        .digests
        .top(SHOWN_DIGESTS)
        .iter()
        .map(|row| {
            json!({
                "fingerprint": format!("{:032x}", row.fingerprint),
                "text": row.text,
                "count": row.count,
                "errors": row.errors,
                "rows": row.rows,
                "total_us": row.total_us,
                "average_us": row.total_us / row.count.max(1),
                "longest_us": row.longest_us,
            })
        })
        .collect();
    as_json(&Value::Array(rows)).into_response()
}

fn as_json(value: &Value) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::super::{GroupStatus, LastLoad, Readiness, RulesStatus};
    use super::*;
    use parking_lot::Mutex;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[derive(Default)]
    struct Proxy(Mutex<Readiness>);

    impl Status for Proxy {
        fn readiness(&self) -> Readiness {
            self.0.lock().clone()
        }

        fn rules(&self) -> RulesStatus {
            RulesStatus {
                version: 3,
                directory: "rules/shop".into(),
                loaded_at_unix_s: 1_700_000_000,
                last_load: LastLoad::Rejected { problems: vec!["shop.yaml:3: no such group".into()] },
                schemas: vec!["shop".into()],
                groups: vec!["g0".into()],
            }
        }
    }

    async fn start() -> (SocketAddr, Arc<Proxy>, Arc<Digests>, tokio::sync::oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (proxy, digests) = (Arc::new(Proxy::default()), Arc::new(Digests::default()));
        let admin = Admin { metrics: Arc::new(Metrics::new()), digests: digests.clone(), status: proxy.clone() };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(serve(listener, admin, async {
            let _ = stopped.await;
        }));
        (address, proxy, digests, stop)
    }

    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    #[tokio::test]
    async fn ready_means_rules_and_primaries_and_not_draining() {
        let (address, proxy, _, _stop) = start().await;
        assert_eq!(get(address, "/healthz").await.0, 200);
        assert_eq!(get(address, "/readyz").await.0, 503);
        let group = GroupStatus { name: "g0".into(), primary_is_up: true };
        *proxy.0.lock() = Readiness { rules_loaded: true, draining: false, groups: vec![group] };
        assert_eq!(get(address, "/readyz").await.0, 200);
        proxy.0.lock().groups[0].primary_is_up = false;
        let (status, answer) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert!(answer.contains("the primary of group g0 cannot be reached"), "{answer}");
        proxy.0.lock().groups[0].primary_is_up = true;
        proxy.0.lock().draining = true;
        let (status, answer) = get(address, "/readyz").await;
        assert!(status == 503 && answer.contains("draining"), "{answer}");
        assert_eq!(get(address, "/healthz").await.0, 200, "a draining process is alive");
    }

    #[tokio::test]
    async fn metrics_rules_and_digests_are_shown() {
        let (address, _, digests, _stop) = start().await;
        let (status, answer) = get(address, "/metrics").await;
        assert!(status == 200 && answer.contains("shardloom_connections 0"), "{answer}");
        assert!(answer.contains("content-type: application/openmetrics-text"), "{answer}");
        let (status, answer) = get(address, "/rules").await;
        assert!(status == 200 && answer.contains("\"version\": 3") && answer.contains("shop.yaml:3"), "{answer}");
        digests.entry(5, || "SELECT ?".into()).record(Duration::from_micros(7), 1, false);
        let (status, answer) = get(address, "/digests").await;
        assert!(status == 200 && answer.contains("SELECT ?") && answer.contains("\"total_us\": 7"), "{answer}");
        assert_eq!(get(address, "/nothing").await.0, 404);
    }

    #[tokio::test]
    async fn it_stops_when_told() {
        let (address, _, _, stop) = start().await;
        assert_eq!(get(address, "/healthz").await.0, 200);
        stop.send(()).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).await.is_ok() {
            assert!(tokio::time::Instant::now() < deadline, "still listening");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn connections_past_the_limit_wait_for_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = BoundedListener::new(listener, 1);
        let _clients = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        use axum::serve::Listener;
        let first = bounded.accept().await;
        let second = tokio::time::timeout(Duration::from_millis(50), bounded.accept()).await;
        assert!(second.is_err(), "there is no room");
        drop(first);
        tokio::time::timeout(Duration::from_secs(10), bounded.accept()).await.unwrap();
    }
}
