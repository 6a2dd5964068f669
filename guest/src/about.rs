//! The interface that every world exports, generated once. Each world's own interface is generated beside
//! its trait; the component encoder joins the two.

wit_bindgen::generate!({
    path: "../wit",
    inline: "package consentry:sdk-about; world about-alone { export consentry:policy/about@0.1.0; }",
    world: "consentry:sdk-about/about-alone",
    with: {
        "consentry:policy/settings@0.1.0": crate::bindings::consentry::policy::settings,
        "consentry:policy/declarations@0.1.0": crate::bindings::consentry::policy::declarations,
    },
    pub_export_macro: true,
    export_macro_name: "__export_about",
    default_bindings_module: "consentry_guest::about",
});
