# `workerd serve config.capnp map|kv --socket-addr http=ADDRESS`. Needs a file `licenses.json` (key
# to licence) in this directory.

using Workerd = import "/workerd/workerd.capnp";

const date :Text = "2026-10-01";

const map :Workerd.Config = (
  services = [(name = "main", worker = .mapWorker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const kv :Workerd.Config = (
  services = [(name = "main", worker = .kvWorker), (name = "namespace", worker = .namespaceWorker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const mapWorker :Workerd.Worker = (
  modules = [
    (name = "map.js", esModule = embed "map.js"),
    (name = "validate.js", esModule = embed "validate.js"),
    (name = "licenses.json", json = embed "licenses.json"),
  ],
  compatibilityDate = .date,
);

const kvWorker :Workerd.Worker = (
  modules = [
    (name = "kv.js", esModule = embed "kv.js"),
    (name = "validate.js", esModule = embed "validate.js"),
  ],
  bindings = [(name = "LICENSES", kvNamespace = "namespace")],
  compatibilityDate = .date,
);

const namespaceWorker :Workerd.Worker = (
  modules = [
    (name = "namespace.js", esModule = embed "namespace.js"),
    (name = "licenses.json", json = embed "licenses.json"),
  ],
  compatibilityDate = .date,
);
