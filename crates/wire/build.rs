//! Compiles `proto/` with a compiler written in Rust, so that nobody needs `protoc`.

use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", proto.join("i247").display());
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(proto.join("i247/v1"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, [&proto])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("i247.v1.binpb"), descriptors.encode_to_vec())?;
    let mut prost = tonic_prost_build::Config::new();
    prost.bytes(["."]);
    // Comments of the proto files become docs; indented lists in them must not become doc tests.
    prost.disable_comments(["."]);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, prost)?;
    Ok(())
}
