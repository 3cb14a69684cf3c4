//! HTTPS to a server: the command line trusts the system's authorities, and sends its token to no
//! other server.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use crate::support::place::{ADMIN_TOKEN, Printed, file, program, run};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The certificate that a server presents.
struct Identity<'a> {
    name: &'a str,
    issuer: &'a Authority,
    last_year: i32,
}

impl Identity<'_> {
    fn config(&self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([self.name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(self.last_year, 12, 31);
        let certificate = params.signed_by(&key, self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        config.with_single_cert(vec![certificate.der().clone()], key.into()).map(Arc::new).unwrap()
    }

    /// Runs `list` on a server with this certificate, with `trusted` as the system's authority.
    /// Returns the heads of requests that the server got, too.
    fn list(&self, trusted: &Authority) -> (Printed, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (sender, heads) = mpsc::channel();
        let config = self.config();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                answer(stream.unwrap(), config.clone(), &sender);
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(&["list", "--json", "--server", &url]);
        command.env("COUNTERSIGN_TOKEN", ADMIN_TOKEN).env_remove("SSL_CERT_DIR");
        command.env("SSL_CERT_FILE", file(directory.path(), "authority.pem", &trusted.pem()));
        let printed = run(&mut command, "");
        // Neither a good certificate nor a bad one gets better by another attempt.
        assert_eq!(connections.load(Ordering::SeqCst), 1, "{}", printed.err);
        (printed, heads.try_iter().collect())
    }
}

/// Passes on a request's head and answers it, unless the TLS handshake fails.
fn answer(stream: TcpStream, config: Arc<ServerConfig>, heads: &mpsc::Sender<String>) {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !stream.read_line(&mut head).is_ok_and(|bytes| bytes > 0) {
            return;
        }
    }
    heads.send(head).unwrap();
    let body = "{\"items\":[]}";
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let stream = stream.get_mut();
    stream.write_all(answer.as_bytes()).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
}

#[test]
fn a_server_of_an_authority_of_the_system_is_trusted() {
    let authority = authority("an authority");
    let (Printed { code, out, err }, heads) =
        Identity { name: "127.0.0.1", issuer: &authority, last_year: 2100 }.list(&authority);
    assert_eq!((code, out.as_str()), (0, "{\"items\":[]}\n"), "{err}");
    assert_eq!(heads.len(), 1);
    assert!(heads[0].contains(&format!("authorization: Bearer {ADMIN_TOKEN}\r\n")));
}

#[test]
fn no_request_is_sent_to_a_server_with_a_wrong_certificate() {
    let (authority, stranger) = (authority("an authority"), authority("a stranger"));
    for (what, identity) in [
        ("of an authority that is not known", Identity { name: "127.0.0.1", issuer: &stranger, last_year: 2100 }),
        ("of another name", Identity { name: "licences.example.com", issuer: &authority, last_year: 2100 }),
        ("that has expired", Identity { name: "127.0.0.1", issuer: &authority, last_year: 2020 }),
    ] {
        let (Printed { code, out, err }, heads) = identity.list(&authority);
        assert_eq!((code, out.as_str(), err.lines().count()), (3, "", 1), "{what}: {err}");
        assert!(err.contains("certificate") && !err.contains(ADMIN_TOKEN), "{what}: {err}");
        assert_eq!(heads.len(), 0, "{what}");
    }
}
