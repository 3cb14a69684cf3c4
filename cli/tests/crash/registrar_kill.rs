//! `kill -9` amid a vendor's requests: no acknowledged request is lost, and none that is retried
//! has two effects.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::support::vendors::{Server, Worker, check};
use serde_json::json;

const ROUNDS: u64 = 6;
const WORKERS: usize = 8;

#[test]
fn acknowledged_requests_survive_and_retried_ones_have_one_effect() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data);
    assert_eq!(server.ask("POST", "/api/v1/products", None, &json!({ "code": "acme" })).unwrap().0, 201);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::default()).collect();
    let again = AtomicU64::new(0);
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            let server = &server;
            let name = |worker: usize| format!("round{round}-worker{worker}");
            for (number, worker) in workers.iter_mut().enumerate() {
                scope.spawn(move || worker.storm(server, &name(number)));
            }
            let enough = 60 + 41 * round;
            crate::support::until("the storm is on", || {
                (server.answers.load(Ordering::Relaxed) >= enough).then_some(())
            });
            let id = server.child.id().to_string();
            assert!(std::process::Command::new("kill").args(["-s", "KILL", &id]).status().unwrap().success());
        });
        drop(server);
        server = Server::start(&data);
        thread::scope(|scope| {
            for worker in &mut workers {
                let (server, again) = (&server, &again);
                scope.spawn(move || {
                    if let Some(asked) = worker.unanswered.take() {
                        again.fetch_add(1, Ordering::Relaxed);
                        assert!(worker.ask(server, &asked), "the server is running");
                    }
                });
            }
        });
        check(&server, &workers, round);
    }
    let licenses: usize = workers.iter().map(|worker| worker.licenses.len()).sum();
    println!("{licenses} licences, {} requests retried", again.into_inner());
}
