//! Says which configuration the program knows: the runtime's seed and its care for panics come with `tokio_unstable`.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(tokio_unstable)");
}
