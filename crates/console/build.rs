//! Has the crate built again when the pages were. It builds no pages: `make console` does, and touches this file.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Watched only where it is: a path that is missing counts as changed at every build.
    if std::path::Path::new("web/dist").exists() {
        println!("cargo::rerun-if-changed=web/dist");
    }
}
