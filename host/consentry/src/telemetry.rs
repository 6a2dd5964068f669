//! How the daemon tells what it does: logs, traces and measurements.
//!
//! The rule for all three: a span, an event and a label name a message by its id, a project, a state, a code of
//! Twilio's, a rule; never a phone number, a body, a secret or what a participant answered. Such values have
//! types that do not print, so that a field `?number` shows four digits at most. Other crates know no such
//! types (an HTTP client is happy to trace a URL, and the URL of a listing holds a number), so below a warning
//! nothing of theirs is told, whatever the level.
//!
//! Measurements are `gateway::metrics`; here is only what remembers them until they are scraped.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// The crates whose spans and events follow the rule.
const OURS: [&str; 6] = ["consentry", "gateway", "policy", "redcap", "sandbox", "twilio"];

/// Gauges that were not told for so long are shown no more: a kind of task of which none is left, a project
/// that is gone. It is longer than two scrapes at once can take, and shorter than the time between scrapes.
const GONE: Duration = Duration::from_secs(10);

/// How often what histograms were told is put into their buckets, when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The format with this name in the configuration.
    pub fn read(name: &str) -> Option<Format> {
        match name {
            "text" => Some(Format::Text),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// Where traces go: a collector that takes OpenTelemetry's protocol over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// The whole URL, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
}

/// How the daemon is to tell what it does.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// How the log is written, to standard error.
    pub format: Format,
    /// The least important that is told of our own crates.
    pub level: Level,
    /// Where traces go, if anywhere.
    pub traces: Option<Otlp>,
}

/// Why the daemon cannot tell what it does.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Somebody else in this process has done it before.
    #[error("start the log a second time")]
    Twice,
    /// The program was built without the traces.
    #[error("send traces: this `consentry` was built without the cargo feature `otlp`")]
    WithoutOtlp,
    /// The collector's URL is none.
    #[error("send traces: the endpoint is not an http:// or https:// URL")]
    Endpoint,
    /// The exporter cannot be made.
    #[error("send traces")]
    Traces(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The recorder of the measurements cannot be made or installed.
    #[error("keep the measurements for Prometheus")]
    Recorder(#[source] BuildError),
}

/// Telemetry at work. What was not handed over yet is handed over when it is dropped, so it is kept until the
/// daemon has stopped.
#[derive(Debug)]
#[must_use = "traces end when it is dropped"]
pub struct Running {
    traces: Option<Tracing>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.traces.as_ref().map(Tracing::shutdown) {
            tracing::warn!(%error, "the last traces were not handed over");
        }
    }
}

impl Telemetry {
    /// Starts it, once in a process.
    pub fn start(self) -> Result<Running, TelemetryError> {
        let ansi = std::io::stderr().is_terminal();
        let mut layers = vec![log(self.format, self.level, ansi, std::io::stderr)];
        let traces = self.traces.map(|otlp| traces(&otlp, self.level)).transpose()?;
        let traces = traces.map(|(layer, tracing)| {
            layers.push(layer);
            tracing
        });
        subscriber(layers).try_init().map_err(|_| TelemetryError::Twice)?;
        Ok(Running { traces })
    }
}

type Told = Box<dyn Layer<Registry> + Send + Sync>;

fn subscriber(layers: Vec<Told>) -> impl Subscriber {
    tracing_subscriber::registry().with(layers)
}

fn log<W>(format: Format, level: Level, ansi: bool, writer: W) -> Told
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let others = LevelFilter::from(level).min(LevelFilter::WARN);
    let filter = Targets::new().with_default(others).with_targets(OURS.map(|name| (name, level)));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi).with_target(false);
    match format {
        Format::Text => layer.with_filter(filter).boxed(),
        // The innermost span has the message; the list of spans would say it twice.
        Format::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    }
}

#[cfg(feature = "otlp")]
use opentelemetry_sdk::trace::SdkTracerProvider as Tracing;

/// What sends spans. Attributes of the process and sampling are taken from `OTEL_RESOURCE_ATTRIBUTES` and
/// `OTEL_TRACES_SAMPLER`, and a collector's own headers from `OTEL_EXPORTER_OTLP_HEADERS`, as operators of
/// collectors know them.
#[cfg(feature = "otlp")]
fn traces(otlp: &Otlp, level: Level) -> Result<(Told, Tracing), TelemetryError> {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_otlp::WithExportConfig;

    if !otlp.endpoint.starts_with("http://") && !otlp.endpoint.starts_with("https://") {
        return Err(TelemetryError::Endpoint);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(&otlp.endpoint)
        .build()
        .map_err(|error| TelemetryError::Traces(error.into()))?;
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name("consentry")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = Tracing::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let level = level.max(Level::INFO);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("consentry"))
        // Where in the source it was, and on which thread, is nothing for an operator.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_targets(OURS.map(|name| (name, level))));
    Ok((layer.boxed(), provider))
}

/// Nothing sends spans.
#[cfg(not(feature = "otlp"))]
#[derive(Debug)]
enum Tracing {}

#[cfg(not(feature = "otlp"))]
impl Tracing {
    fn shutdown(&self) -> Result<(), std::convert::Infallible> {
        match *self {}
    }
}

#[cfg(not(feature = "otlp"))]
fn traces(_: &Otlp, _: Level) -> Result<(Told, Tracing), TelemetryError> {
    Err(TelemetryError::WithoutOtlp)
}

/// Installs what remembers the measurements, once in a process, and gives what renders them for a scrape. Who
/// asks again gets the same one.
pub fn prometheus() -> Result<PrometheusHandle, TelemetryError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = recorder(GONE).and_then(PrometheusBuilder::install_recorder);
    let handle = handle.map_err(TelemetryError::Recorder)?;
    gateway::metrics::describe();
    *installed = Some(handle.clone());
    Ok(handle)
}

/// Keeps what the measurements need of memory constant, also when nobody scrapes. It runs until it is dropped.
pub async fn upkeep(handle: PrometheusHandle) {
    let mut every = tokio::time::interval(UPKEEP);
    loop {
        every.tick().await;
        handle.run_upkeep();
    }
}

fn recorder(gone: Duration) -> Result<PrometheusBuilder, BuildError> {
    let builder = PrometheusBuilder::new().idle_timeout(MetricKindMask::GAUGE, Some(gone));
    gateway::metrics::BUCKETS.iter().try_fold(builder, |builder, (name, bounds)| {
        builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use metrics_exporter_prometheus::PrometheusRecorder;
    use twilio::{MessageBody, PhoneNumber};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a careless author would write in a span and an event, at every level.
    fn carelessly() {
        let number = PhoneNumber::from_e164("+16175550123").unwrap();
        let body = MessageBody::new("Your sleep diary is ready");
        let span = tracing::info_span!(target: "gateway::send", "send", message = "01MESSAGE", ?number);
        let _entered = span.enter();
        tracing::info!(target: "gateway::send", code = 21610, ?number, ?body, "Twilio refuses it");
        tracing::trace!(target: "hyper_util::client", "GET /Messages.json?To=%2B16175550123");
        tracing::info!(target: "reqwest::connect", "GET /Messages.json?To=+16175550123");
        tracing::warn!(target: "rustls::check", "a certificate ends soon");
    }

    fn logged(format: Format, level: Level) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = log(format, level, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber(vec![layer]), carelessly);
        written.text()
    }

    #[test]
    fn no_number_and_no_body_is_logged_at_any_level() {
        for format in [Format::Text, Format::Json] {
            for level in [Level::TRACE, Level::DEBUG, Level::INFO] {
                let text = logged(format, level);
                assert!(!text.contains("6175550"), "{text}");
                assert!(!text.contains("diary"), "{text}");
                assert!(text.contains("01MESSAGE") && text.contains("21610"), "{text}");
                assert!(text.contains("a certificate ends soon"), "{text}");
            }
            let text = logged(format, Level::ERROR);
            assert!(text.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_line_of_json_has_the_message_of_its_span() {
        let text = logged(Format::Json, Level::INFO);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["message"], "Twilio refuses it");
        assert_eq!(line["code"], 21610);
        assert_eq!(line["span"]["message"], "01MESSAGE");
    }

    /// What a scrape reads of what is measured in `measure`.
    fn scraped(recorder: &PrometheusRecorder, measure: impl FnOnce()) -> String {
        metrics::with_local_recorder(recorder, measure);
        recorder.handle().render()
    }

    #[test]
    fn a_histogram_has_the_buckets_of_its_kind() {
        let recorder = recorder(GONE).unwrap().build_recorder();
        let text = scraped(&recorder, || {
            gateway::metrics::leaves(Duration::from_millis(40));
            gateway::metrics::decision("compliance", Duration::from_micros(70), 20_000);
        });
        for line in [
            "# TYPE consentry_send_seconds histogram",
            "consentry_send_seconds_bucket{le=\"0.025\"} 0",
            "consentry_send_seconds_bucket{le=\"0.05\"} 1",
            "consentry_decision_seconds_bucket{policy=\"compliance\",le=\"0.00005\"} 0",
            "consentry_decision_seconds_bucket{policy=\"compliance\",le=\"0.0001\"} 1",
            "consentry_decision_fuel_bucket{policy=\"compliance\",le=\"30000\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        recorder.handle().run_upkeep();
        assert_eq!(recorder.handle().render(), text);
    }

    #[test]
    fn who_asks_for_the_measurements_again_gets_the_same() {
        prometheus().unwrap();
        gateway::metrics::signatures_rejected(3);
        let text = prometheus().unwrap().render();
        assert!(text.contains("# HELP consentry_signatures_rejected_total Webhooks"), "{text}");
        assert!(text.contains("consentry_signatures_rejected_total 3"), "{text}");
    }

    #[test]
    fn what_is_told_no_more_is_shown_no_more() {
        let recorder = recorder(Duration::ZERO).unwrap().build_recorder();
        let scrape = |kinds: &[&str]| {
            scraped(&recorder, || {
                gateway::metrics::twilio_error(None);
                for kind in kinds {
                    gateway::metrics::tasks(kind, 1, 60);
                }
            })
        };
        let first = scrape(&["unclear-reply", "unread-reply"]);
        assert!(
            first.contains("kind=\"unclear-reply\"") && first.contains("kind=\"unread-reply\""),
            "{first}"
        );
        let second = scrape(&["unclear-reply"]);
        assert!(second.contains("consentry_tasks{kind=\"unclear-reply\"} 1"), "{second}");
        assert!(!second.contains("unread-reply"), "{second}");
        assert!(second.contains("consentry_twilio_errors_total{code=\"none\"} 2"), "{second}");
    }

    #[test]
    fn every_alert_is_about_something_that_is_measured() {
        let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus-rules.yml");
        let measured = concat!(env!("CARGO_MANIFEST_DIR"), "/../gateway/src/metrics.rs");
        let measured = std::fs::read_to_string(measured).unwrap();
        let rules = std::fs::read_to_string(deploy).unwrap();
        let mut names = 0;
        for word in rules.split(|character: char| !character.is_ascii_alphanumeric() && character != '_') {
            if word.starts_with("consentry_") {
                assert!(measured.contains(&format!("\"{word}\"")), "nothing is measured as {word}");
                names += 1;
            }
        }
        assert!(names > 10, "the alerts name {names}");
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn an_endpoint_without_the_feature_is_an_error_that_names_it() {
        let traces = Some(Otlp { endpoint: "http://127.0.0.1:4318/v1/traces".into() });
        let telemetry = Telemetry { format: Format::Text, level: Level::INFO, traces };
        let error = telemetry.start().unwrap_err();
        assert!(error.to_string().contains("`otlp`"), "{error}");
    }

    /// Takes one request, answers it, and gives its head and its body.
    #[cfg(feature = "otlp")]
    fn take(listener: &std::net::TcpListener) -> (String, Vec<u8>) {
        use std::io::{BufRead, BufReader, Read};

        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the head is cut off");
        }
        let lower = head.to_lowercase();
        let length = lower.split_once("content-length: ").unwrap().1.lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        (head, body)
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_trace_reaches_the_collector_and_names_no_number() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || take(&listener));
        let (layer, tracing) = traces(&Otlp { endpoint }, Level::TRACE).unwrap();
        tracing::subscriber::with_default(subscriber(vec![layer]), carelessly);
        drop(Running { traces: Some(tracing) });
        let (head, body) = collector.join().unwrap();
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        let text = String::from_utf8_lossy(&body);
        for there in ["consentry", "send", "01MESSAGE", "Twilio refuses it", "code"] {
            assert!(text.contains(there), "{there} is not in {text}");
        }
        for absent in ["6175550", "diary", "Messages.json", ".rs", "certificate"] {
            assert!(!text.contains(absent), "{absent} is in {text}");
        }
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn an_endpoint_that_is_no_url_is_refused() {
        let otlp = Otlp { endpoint: "collector:4318".into() };
        assert!(matches!(traces(&otlp, Level::INFO), Err(TelemetryError::Endpoint)));
    }
}
