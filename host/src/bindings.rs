//! The types and traits that wasmtime generates from `wit/`.

#![allow(missing_docs)] // documented in `wit/`

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package countersign:host;

        /// What this host runs: any app that exports `service`.
        world app {
            import countersign:license/store@0.1.0;
            import countersign:license/settings@0.1.0;
            import countersign:license/journal@0.1.0;
            export countersign:license/service@0.1.0;
        }
    ",
    world: "countersign:host/app",
    imports: {
        "countersign:license/store.put": async,
        "countersign:license/store.delete": async,
    },
    exports: { default: async },
    require_store_data_send: true,
});

pub use self::countersign::license::{journal, settings, store};
pub use exports::countersign::license::service;

/// What the registrar imports besides.
pub mod registrar {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package countersign:host;

            world registrar {
                import countersign:license/sql@0.1.0;
            }
        ",
        world: "countersign:host/registrar",
        imports: { default: async },
        require_store_data_send: true,
    });
}

pub use registrar::countersign::license::sql;

/// What an edge's validator imports and exports besides.
pub mod edge_world {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package countersign:host;

            world edge {
                import countersign:license/near@0.1.0;
                import countersign:license/fetch@0.1.0;
                export countersign:license/edge@0.1.0;
            }
        ",
        world: "countersign:host/edge",
        imports: {
            "countersign:license/near.put": async,
            "countersign:license/near.delete": async,
            "countersign:license/fetch.send": async,
        },
        exports: { default: async },
        with: { "countersign:license/store@0.1.0": crate::bindings::store },
        require_store_data_send: true,
    });
}

pub use edge_world::countersign::license::{fetch, near};
pub use edge_world::exports::countersign::license::edge;
pub use edge_world::{Edge, EdgePre};
